//! `kill -9` of the program: what was acknowledged is there, once.

mod ledger;
mod points;
mod tools;
mod visitor;
mod world;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::support::{
    Caller, Serving, StreamEvent, TestInstance, model_at, on_managed_cluster, read_stream, said,
};

/// The sweep has closed what a crash left by then.
const SWEPT: Duration = Duration::from_secs(60);

async fn history(caller: &Caller, token: &str, session: &str) -> Value {
    let path = format!("/sessions/{session}/messages");
    let list = caller
        .visitor(token, Method::GET, &path)
        .send()
        .await
        .unwrap();
    list.json::<Value>().await.unwrap()["data"].clone()
}

#[tokio::test]
async fn an_answer_cut_by_a_crash_is_closed_as_interrupted_with_what_was_saved() {
    let fake = FakeAi::start().await.unwrap();
    let program = on_managed_cluster().await;
    let (serving, program) = Serving::start(program, &["serve"]);
    let before = serving.caller(&program);
    let instance = TestInstance::create(&before, "Acme").await;
    instance
        .add_model(
            &before,
            model_at(&fake.base_url(), "fake:tokens=600,rate=40"),
        )
        .await;
    let (session, token) = instance.session(&before).await;
    let response = before
        .visitor(
            &token,
            Method::POST,
            &format!("/sessions/{session}/messages"),
        )
        .json(&json!({ "content": "a long story, please" }))
        .send()
        .await
        .unwrap();
    // Long enough for what has arrived to have been saved at least once.
    let seen = read_stream(response, |events| events.len() > 120).await;
    let delivered = said(&seen);
    serving.end_by(rustix::process::Signal::KILL);

    let (serving, program) = Serving::start(program, &["serve"]);
    let after = serving.caller(&program);
    let left = history(&after, &token, &session).await;
    assert_eq!(left[0]["content"], "a long story, please");
    // Whoever comes back is told as soon as it is known that nobody writes it any more.
    let message = seen[0].data["messageId"].as_str().unwrap();
    let resumed = after
        .visitor(&token, Method::GET, &format!("/messages/{message}/stream"))
        .header("last-event-id", seen.last().unwrap().id.as_deref().unwrap())
        .send()
        .await
        .unwrap();
    let begun = Instant::now();
    let rest = read_stream(resumed, |_| false).await;
    assert!(begun.elapsed() < SWEPT, "{:?}", begun.elapsed());
    let kinds: Vec<_> = rest.iter().map(StreamEvent::kind).collect();
    assert_eq!(kinds, ["error", "[DONE]"]);
    assert_eq!(rest[0].data["code"], "interrupted");
    let closed = loop {
        let answer = history(&after, &token, &session).await[1].clone();
        if answer["state"] == "complete" {
            break answer;
        }
        assert!(
            begun.elapsed() < SWEPT,
            "the answer was not closed: {answer}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(closed["finish_reason"], "interrupted");
    let saved = closed["content"].as_str().unwrap();
    assert!(
        !saved.is_empty() && delivered.starts_with(saved),
        "{saved} / {delivered}"
    );
    let messages = history(&after, &token, &session).await;
    assert_eq!(
        messages.as_array().unwrap().len(),
        2,
        "the question once and its answer once"
    );
}
