//! Budgets, as visitors, programs and the client meet them: no call beyond a limit, and an honest
//! sentence instead.

mod limits;
mod settings;
mod settled;

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_client_db::messages::{self, NewTurn};
use stoa_domain::MessageId;
use stoa_domain::token::SessionToken;
use stoa_fake_ai::FakeAi;

use crate::support::{Conversation, Server, TestInstance, expect, model_at};

const SENTENCE: &str = "Our assistant rests until tomorrow.";

/// Sets an instance's budgets, and gives what the answer shows.
async fn set(server: &Server, instance: &TestInstance, mut budgets: Value) -> Value {
    budgets["exceeded_message"] = json!(SENTENCE);
    let request = server.client(&instance.key, Method::PUT, "/budgets");
    expect(request.json(&budgets), StatusCode::OK).await
}

/// Lets an instance have so many tokens a day.
async fn set_day(server: &Server, instance: &TestInstance, tokens: i64) -> Value {
    let day = json!({ "day": { "tokens": tokens } });
    set(server, instance, json!({ "instance": day })).await
}

async fn shown(server: &Server, instance: &TestInstance) -> Value {
    let request = server.client(&instance.key, Method::GET, "/budgets");
    expect(request, StatusCode::OK).await
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

/// Leaves a turn behind as a process does that dies while it writes the answer: half a minute ago,
/// with some words saved.
async fn leave_behind(
    server: &Server,
    chat: &Conversation,
    instance: &TestInstance,
    words: &str,
) -> MessageId {
    let app = &server.app;
    let registered = app
        .registered(instance.id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let connection = app.checkout(&registered).await.unwrap();
    let answer = app.new_id(MessageId::generate);
    let then = app.clock().now() - TimeDelta::seconds(30);
    let turn = NewTurn {
        session: chat.session.parse().unwrap(),
        token_hash: &SessionToken::parse(&chat.token).unwrap().hash(),
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
