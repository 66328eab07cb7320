//! When a model does not answer: the next one, or an honest failure; when it breaks off: what
//! arrived is kept.

use serde_json::json;
use stoa_fake_ai::FakeAi;

use crate::support::{Conversation, Server, TestInstance, model_at, problem, said};

/// An active instance whose configuration is then changed to a model that misbehaves.
async fn misbehaving(server: &Server, fake: &FakeAi, behaviour: &str) -> TestInstance {
    TestInstance::misbehaving(server, "Acme", &fake.base_url(), behaviour).await
}

#[tokio::test]
async fn the_next_configuration_answers_when_one_fails_before_its_first_word() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    for behaviour in [
        "error=429,retry_after=2",
        "error=401",
        "error=500",
        "garbage",
    ] {
        let instance = misbehaving(&server, &fake, behaviour).await;
        let mut second = model_at(&fake.base_url(), "good");
        second["priority"] = json!(10);
        instance.add_model(&server, second).await;
        let chat = Conversation::begin(&server, &instance).await;
        let answer = chat.answer("hello").await;
        assert_eq!(answer["usage"]["model"], "good", "{behaviour}: {answer}");
    }
}

#[tokio::test]
async fn when_nobody_answers_the_status_says_so_and_the_question_is_kept() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    for (behaviour, status, code) in [
        ("error=429,retry_after=7", 503, "ai_overloaded"),
        ("error=401", 502, "ai_unavailable"),
    ] {
        let instance = misbehaving(&server, &fake, behaviour).await;
        let chat = Conversation::begin(&server, &instance).await;
        let response = chat.send("hello").await;
        let wait = response.headers().get("retry-after").cloned();
        let says = behaviour.contains("retry_after").then_some("7");
        assert_eq!(wait.as_ref().map(|it| it.to_str().unwrap()), says);
        let document = problem(response, status, code).await;
        assert!(!document.to_string().contains("sk-test"), "{document}");
        let history = chat.history().await;
        assert_eq!(history[0]["content"], "hello");
        assert_eq!(history[1]["finish_reason"], "error");
        assert_eq!(history[1]["state"], "complete");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_kept_as_far_as_it_came() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    for behaviour in [
        "tokens=50,rate=50,drop_after=5",
        "tokens=50,rate=50,drop_after=5,cut_utf8",
    ] {
        let instance = misbehaving(&server, &fake, behaviour).await;
        let chat = Conversation::begin(&server, &instance).await;
        let events = chat.events("hello").await;
        let delivered = said(&events);
        let kinds: Vec<_> = events
            .iter()
            .rev()
            .take(2)
            .map(|event| event.kind().to_owned())
            .collect();
        assert_eq!(kinds, ["[DONE]", "error"], "{behaviour}");
        let history = chat.history().await;
        assert!(!delivered.is_empty(), "{behaviour}");
        assert_eq!(history[1]["content"], delivered, "{behaviour}");
        assert_eq!(history[1]["finish_reason"], "interrupted", "{behaviour}");
    }
}
