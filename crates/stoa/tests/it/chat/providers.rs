//! A chat through each wire format, from the visitor to the provider's own kind of request.

use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::support::{Conversation, Server, StreamEvent, TestInstance, eventually, said};

const KEY: &str = "sk-test-0123456789abcdef";

/// Each provider with a format of its own, and where the fake speaks it.
fn providers(fake: &FakeAi) -> [(&'static str, String); 5] {
    [
        ("openai_compatible", fake.base_url()),
        ("anthropic", fake.base_url()),
        ("gemini", fake.gemini_url()),
        ("azure_openai", fake.azure_url()),
        ("azure_openai", fake.azure_deployments_url()),
    ]
}

fn configuration(provider: &str, base_url: &str, model: &str) -> Value {
    json!({
        "name": provider, "provider": provider, "model": model,
        "base_url": base_url, "api_key": KEY,
    })
}

async fn ask(server: &Server, instance: &TestInstance) -> Vec<StreamEvent> {
    let chat = Conversation::begin(server, instance).await;
    chat.events("How long?").await
}

fn usage(events: &[StreamEvent]) -> &Value {
    let usage = events.iter().find(|event| event.kind() == "data-usage");
    &usage.expect("an event of usage").data["data"]
}

#[tokio::test]
async fn every_wire_format_answers_a_visitor_and_is_counted() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    for (index, (provider, base_url)) in providers(&fake).into_iter().enumerate() {
        let instance = TestInstance::create(&server, &format!("Wire {index}")).await;
        let body = configuration(provider, &base_url, "fake:delay=1");
        instance.add_model(&server, body).await;
        fake.clear_requests();
        let events = ask(&server, &instance).await;
        assert_eq!(said(&events), "You asked: How long?", "{provider}");
        let deltas = events.iter().filter(|it| it.kind() == "text-delta");
        assert!(deltas.count() >= 1, "{provider}");
        let used = usage(&events);
        assert_eq!(used["outputTokens"], 4, "{provider}");
        assert!(
            used["inputTokens"].as_u64().unwrap() > 10,
            "{provider}: {used}"
        );
        assert_eq!(used["model"], "fake:delay=1", "{provider}");
        assert_eq!(used["finishReason"], "stop", "{provider}");

        let sent = fake.requests().pop().unwrap();
        assert_eq!(sent.key.as_deref(), Some(KEY), "{provider}");
        let bearer = provider == "openai_compatible";
        assert_eq!(sent.authorization.is_some(), bearer, "{provider}");
        // What was counted is what was told.
        let counted = eventually("usage that is counted", || async {
            let counted = instance.usage(&server).await;
            (counted["total"]["messages"] == 1).then_some(counted)
        })
        .await;
        assert_eq!(counted["total"]["output_tokens"], 4, "{provider}");
        assert_eq!(counted["total"]["input_tokens"], used["inputTokens"]);
    }
}

#[tokio::test]
async fn one_format_answers_when_another_fails_and_the_answer_says_which() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let providers = providers(&fake);
    for index in 0..providers.len() {
        let instance = TestInstance::create(&server, &format!("Fallback {index}")).await;
        let (first, second) = (&providers[index], &providers[(index + 1) % providers.len()]);
        let body = configuration(first.0, &first.1, "good");
        let id = instance.add_model(&server, body).await;
        let mut body = configuration(second.0, &second.1, "second");
        body["priority"] = json!(5);
        instance.add_model(&server, body).await;
        for behaviour in [
            "error=503",
            "error=429,retry_after=60",
            "error=quota",
            "error=401",
        ] {
            let change = json!({ "model": format!("fake:{behaviour}") });
            instance.change_model(&server, &id, change).await;
            let events = ask(&server, &instance).await;
            let what = format!("{} to {}: {behaviour}", first.0, second.0);
            assert_eq!(said(&events), "You asked: How long?", "{what}");
            assert_eq!(usage(&events)["model"], "second", "{what}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_asked_for_peace_is_left_in_peace() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Peace").await;
    let model = "fake:error=429,retry_after=60";
    let body = configuration("anthropic", &fake.base_url(), "good");
    let id = instance.add_model(&server, body).await;
    let change = json!({ "model": model });
    instance.change_model(&server, &id, change).await;
    let mut body = configuration("gemini", &fake.gemini_url(), "second");
    body["priority"] = json!(5);
    instance.add_model(&server, body).await;
    fake.clear_requests();
    for _ in 0..4 {
        let events = ask(&server, &instance).await;
        assert_eq!(usage(&events)["model"], "second");
    }
    let models: Vec<String> = fake.requests().into_iter().map(|it| it.model).collect();
    let limited = models.iter().filter(|it| *it == model).count();
    assert_eq!((limited, models.len()), (1, 5), "{models:?}");
}
