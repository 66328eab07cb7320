//! The models that a configuration's key may use.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, problem};

#[tokio::test]
async fn models_are_listed_with_what_they_cost_and_are_kept_for_a_while() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Models").await;
    let fake = FakeAi::start().await.unwrap();
    let call = |method, path: &str| server.client(&client.key, method, path);
    let add = async |provider: &str, base_url: String| {
        let body = json!({
            "name": provider, "provider": provider, "model": "m",
            "base_url": base_url, "api_key": "sk-test-0123456789abcdef",
        });
        let add = call(Method::POST, "/api-configurations").json(&body);
        let added = expect(add, StatusCode::CREATED).await;
        let id = added["id"].as_str().unwrap().to_owned();
        format!("/api-configurations/{id}/models")
    };
    let ids = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap().iter();
        data.map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let anthropic = add("anthropic", fake.base_url()).await;
    let list = ok(call(Method::GET, &anthropic)).await;
    assert_eq!(ids(&list), ["fake-claude-1", "fake-claude-2"]);
    assert_eq!(list["data"][0]["kind"], "chat");
    assert_eq!(
        list["data"][0]["input_price"],
        Value::Null,
        "unknown is not 0"
    );
    let gemini = add("gemini", fake.gemini_url()).await;
    let list = ok(call(Method::GET, &gemini)).await;
    assert_eq!(ids(&list), ["fake-gemini", "fake-embedding"]);
    assert_eq!(list["data"][0]["context_window"], 1_000);
    // What runs at home is known to cost nothing.
    let ollama = add("ollama", fake.base_url()).await;
    let list = ok(call(Method::GET, &ollama)).await;
    assert_eq!(list["data"][0]["input_price"], 0.0);

    // From now on nobody is there to ask.
    fake.stop().await;
    let list = ok(call(Method::GET, &gemini)).await;
    assert_eq!(ids(&list), ["fake-gemini", "fake-embedding"], "kept");
    let refused = sent(call(Method::GET, &format!("{gemini}?refresh=true"))).await;
    let told = problem(refused, 502, "models_unavailable").await;
    assert!(
        told["detail"].as_str().unwrap().contains("unreachable"),
        "{told}"
    );
    let odd = sent(call(Method::GET, &format!("{gemini}?refresh=perhaps"))).await;
    problem(odd, 422, "invalid_body").await;
}
