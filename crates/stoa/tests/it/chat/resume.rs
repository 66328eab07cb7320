//! Leaving is not stopping; stopping is; what broke can be gone on with, from any replica.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::support::{Server, StreamEvent, TestInstance, eventually, model_at, read_stream};

struct Chat {
    server: Server,
    fake: FakeAi,
    session: String,
    token: String,
}

/// A conversation with a model that writes 60 tokens, 40 a second.
async fn slow_chat() -> Chat {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    instance
        .add_model(
            &server,
            model_at(&fake.base_url(), "fake:tokens=60,rate=40"),
        )
        .await;
    let (session, token) = instance.session(&server).await;
    fake.clear_requests();
    Chat {
        server,
        fake,
        session,
        token,
    }
}

impl Chat {
    async fn ask(&self) -> Response {
        let path = format!("/sessions/{}/messages", self.session);
        let body = json!({ "content": "hello" });
        self.server
            .visitor(&self.token, Method::POST, &path)
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    async fn resume(&self, message: &str, last: &str) -> Response {
        let path = format!("/messages/{message}/stream");
        self.server
            .visitor(&self.token, Method::GET, &path)
            .header("last-event-id", last)
            .send()
            .await
            .unwrap()
    }

    async fn answer(&self) -> Value {
        let path = format!("/sessions/{}/messages", self.session);
        let list = self
            .server
            .visitor(&self.token, Method::GET, &path)
            .send()
            .await
            .unwrap();
        list.json::<Value>().await.unwrap()["data"][1].clone()
    }
}

fn deltas(events: &[StreamEvent]) -> String {
    events
        .iter()
        .filter_map(|event| event.data["delta"].as_str())
        .collect()
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_ended() {
    let chat = slow_chat().await;
    let seen = read_stream(chat.ask().await, |events| events.len() >= 8).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    let last = seen.last().unwrap().id.clone().unwrap();
    let rest = read_stream(chat.resume(message, &last).await, |_| false).await;
    assert_eq!(rest.last().unwrap().kind(), "[DONE]");
    let answer = chat.answer().await;
    assert_eq!(
        format!("{}{}", deltas(&seen), deltas(&rest)),
        answer["content"].as_str().unwrap()
    );
    assert_eq!(answer["finish_reason"], "stop");

    let replayed = read_stream(chat.resume(message, "").await, |_| false).await;
    assert_eq!(deltas(&replayed), answer["content"].as_str().unwrap());
    assert_eq!(replayed[0].kind(), "start");
    assert_eq!(chat.fake.requests().len(), 1);
}

#[tokio::test]
async fn another_replica_goes_on_with_a_stream() {
    let chat = slow_chat().await;
    let seen = read_stream(chat.ask().await, |events| events.len() >= 6).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    let last = seen.last().unwrap().id.clone().unwrap();
    let second = chat.server.replica().await;
    let path = format!("/messages/{message}/stream");
    let response = second
        .visitor(&chat.token, Method::GET, &path)
        .header("last-event-id", &last)
        .send()
        .await
        .unwrap();
    let rest = read_stream(response, |_| false).await;
    let answer = chat.answer().await;
    assert_eq!(
        format!("{}{}", deltas(&seen), deltas(&rest)),
        answer["content"].as_str().unwrap()
    );
    assert_eq!(rest.last().unwrap().kind(), "[DONE]");
}

#[tokio::test]
async fn stop_ends_the_answer_and_hangs_up_on_the_model_within_a_second() {
    let chat = slow_chat().await;
    let seen = read_stream(chat.ask().await, |events| events.len() >= 6).await;
    let message = seen[0].data["messageId"].as_str().unwrap().to_owned();
    let asked = Instant::now();
    let path = format!("/sessions/{}/stop", chat.session);
    let stopped = chat
        .server
        .visitor(&chat.token, Method::POST, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(stopped.status(), StatusCode::NO_CONTENT);
    eventually("a model that was hung up on", || async {
        chat.fake
            .requests()
            .iter()
            .any(|request| request.disconnected_at_token.is_some())
            .then_some(())
    })
    .await;
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    let answer = eventually("a final answer", || async {
        let answer = chat.answer().await;
        (answer["state"] == "complete").then_some(answer)
    })
    .await;
    assert_eq!(answer["finish_reason"], "cancelled");
    let replayed = read_stream(chat.resume(&message, "").await, |_| false).await;
    assert_eq!(deltas(&replayed), answer["content"].as_str().unwrap());
    assert!(!deltas(&replayed).is_empty());
}

#[tokio::test]
async fn stop_reaches_the_replica_that_writes() {
    let chat = slow_chat().await;
    // Before the question: a replica that is long in starting would find the answer finished.
    let second = chat.server.replica().await;
    read_stream(chat.ask().await, |events| events.len() >= 6).await;
    let path = format!("/sessions/{}/stop", chat.session);
    let stopped = second
        .visitor(&chat.token, Method::POST, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(stopped.status(), StatusCode::NO_CONTENT);
    let answer = eventually("a final answer", || async {
        let answer = chat.answer().await;
        (answer["state"] == "complete").then_some(answer)
    })
    .await;
    assert_eq!(answer["finish_reason"], "cancelled");
}

#[tokio::test]
async fn leaving_is_not_stopping() {
    let chat = slow_chat().await;
    drop(read_stream(chat.ask().await, |events| events.len() >= 6).await);
    let answer = eventually("a final answer", || async {
        let answer = chat.answer().await;
        (answer["state"] == "complete").then_some(answer)
    })
    .await;
    assert_eq!(
        answer["finish_reason"], "stop",
        "the model was not hung up on"
    );
}

#[tokio::test]
async fn shutting_down_saves_what_arrived() {
    let chat = slow_chat().await;
    let seen = read_stream(chat.ask().await, |events| events.len() >= 10).await;
    let (session, token) = (chat.session.clone(), chat.token.clone());
    let database = chat.server.stop().await;
    let restarted = Server::on(database, |_| {}).await;
    let path = format!("/sessions/{session}/messages");
    let list = restarted
        .visitor(&token, Method::GET, &path)
        .send()
        .await
        .unwrap();
    let answer = list.json::<Value>().await.unwrap()["data"][1].clone();
    assert_eq!(answer["state"], "complete");
    assert_eq!(answer["finish_reason"], "interrupted");
    assert!(
        answer["content"]
            .as_str()
            .unwrap()
            .starts_with(&deltas(&seen)),
        "{answer}"
    );
}
