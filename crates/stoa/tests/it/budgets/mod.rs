//! Budgets, as visitors, programs and the client meet them: no call beyond a limit, and an honest
//! sentence instead.

mod limits;
mod settings;
mod settled;

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use stoa_client_db::messages::{self, NewTurn};
use stoa_domain::MessageId;
use stoa_domain::token::SessionToken;
use stoa_fake_ai::FakeAi;

use crate::support::{Server, StreamEvent, TestInstance, model_at, read_stream};

const SENTENCE: &str = "Our assistant rests until tomorrow.";

/// Sets an instance's budgets, and gives what the answer shows.
async fn set(server: &Server, instance: &TestInstance, mut budgets: Value) -> Value {
    budgets["exceeded_message"] = json!(SENTENCE);
    let response = server
        .client(&instance.key, Method::PUT, "/budgets")
        .json(&budgets)
        .send()
        .await
        .unwrap();
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn shown(server: &Server, instance: &TestInstance) -> Value {
    let request = server.client(&instance.key, Method::GET, "/budgets");
    request.send().await.unwrap().json().await.unwrap()
}

/// How many tokens an instance has spent today, the test of its configuration among them.
async fn spent(server: &Server, instance: &TestInstance) -> i64 {
    let shown = shown(server, instance).await;
    shown["standing"]["day"]["tokens"]["spent"]
        .as_i64()
        .unwrap()
}

/// An instance whose model says words of a known number of tokens, at one dollar for a million of
/// either kind.
async fn priced(server: &Server, fake: &FakeAi, behaviour: &str) -> TestInstance {
    let instance = TestInstance::create(server, "Acme").await;
    let mut model = model_at(&fake.base_url(), &format!("fake:{behaviour}"));
    model["input_price"] = json!(1.0);
    model["output_price"] = json!(1.0);
    instance.add_model(server, model).await;
    instance
}

/// A conversation, and how to ask in it.
struct Chat<'a> {
    server: &'a Server,
    session: String,
    token: String,
}

impl<'a> Chat<'a> {
    async fn begin(server: &'a Server, instance: &TestInstance) -> Self {
        let (session, token) = instance.session(server).await;
        Self {
            server,
            session,
            token,
        }
    }

    /// The same conversation, on another replica.
    fn on<'b>(&self, server: &'b Server) -> Chat<'b> {
        Chat {
            server,
            session: self.session.clone(),
            token: self.token.clone(),
        }
    }

    /// Leaves a turn behind as a process does that dies while it writes the answer: half a minute
    /// ago, with some words saved.
    async fn leave_behind(&self, instance: &TestInstance, words: &str) -> MessageId {
        let app = &self.server.app;
        let registered = app
            .registered(instance.id.parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let connection = app.checkout(&registered).await.unwrap();
        let answer = app.new_id(MessageId::generate);
        let then = app.clock().now() - TimeDelta::seconds(30);
        let turn = NewTurn {
            session: self.session.parse().unwrap(),
            token_hash: &SessionToken::parse(&self.token).unwrap().hash(),
            user_message: app.new_id(MessageId::generate),
            answer,
            client_message_id: None,
            content: "a question",
            history: 10,
            now: then,
        };
        messages::begin_turn(&connection, &turn)
            .await
            .unwrap()
            .unwrap();
        let saved = messages::save_partial(&connection, answer, words, None, then).await;
        assert!(saved.unwrap());
        answer
    }

    fn request(&self, question: &str) -> RequestBuilder {
        let path = format!("/sessions/{}/messages", self.session);
        let request = self.server.visitor(&self.token, Method::POST, &path);
        request.json(&json!({ "content": question }))
    }

    async fn events(&self, question: &str) -> Vec<StreamEvent> {
        read_stream(self.request(question).send().await.unwrap(), |_| false).await
    }

    /// The whole answer.
    async fn answer(&self, question: &str) -> Value {
        self.answered(self.request(question)).await
    }

    async fn answered(&self, request: RequestBuilder) -> Value {
        let response = request
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

/// Whether an answer is the sentence of an exhausted budget.
fn is_stopped(answer: &Value) -> bool {
    let stopped = answer["notice"]["code"] == "budget_exhausted";
    assert_eq!(
        stopped,
        answer["message"]["content"] == SENTENCE,
        "{answer}"
    );
    stopped
}

/// How many chat calls a provider was asked.
fn asked(fake: &FakeAi) -> usize {
    let chats = fake.requests().into_iter();
    chats
        .filter(|it| it.path.contains("/chat/completions"))
        .count()
}
