//! Embeddings.

use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{call, failure, usage_events};
use crate::support::{Server, TestInstance, model_at};

#[tokio::test]
async fn texts_are_embedded_as_floats_or_in_base64() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let mut model = model_at(&fake.base_url(), "fake");
    model["embedding_model"] = json!("fake-embedding");
    instance.add_model(&server, model).await;
    let post = |body: Value| call(&server, &instance.key, "/v1/embeddings", &body).send();
    let answer = post(json!({ "model": "fake-embedding", "input": ["tents", "boots"] })).await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(
        (&answer["object"], &answer["model"]),
        (&json!("list"), &json!("fake-embedding"))
    );
    assert_eq!(answer["data"][1]["index"], 1);
    let numbers = answer["data"][1]["embedding"].as_array().unwrap().clone();
    assert_eq!(numbers.len(), 256, "{answer}");
    let coded = post(
        json!({ "model": "stoa", "input": "boots", "encoding_format": "base64", "user": "u" }),
    )
    .await;
    let coded: Value = coded.unwrap().json().await.unwrap();
    let text = coded["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), (256_usize * 4).div_ceil(3) * 4, "{text}");
    assert!(coded["usage"]["total_tokens"].as_i64().unwrap() > 0);

    // “Hello world” in tokens, alone and as one of two texts.
    let vector = |answer: &Value, index: usize| answer["data"][index]["embedding"].clone();
    let text = post(json!({ "model": "stoa", "input": "Hello world", "dimensions": 8 })).await;
    let text: Value = text.unwrap().json().await.unwrap();
    assert_eq!(vector(&text, 0).as_array().unwrap().len(), 8, "{text}");
    assert_eq!(text["usage"]["prompt_tokens"], 2, "as the provider counts");
    for (input, index) in [(json!([9906, 1917]), 0), (json!([[1917], [9906, 1917]]), 1)] {
        let body = json!({ "model": "stoa", "input": input, "dimensions": 8 });
        let tokens: Value = post(body).await.unwrap().json().await.unwrap();
        assert_eq!(vector(&tokens, index), vector(&text, 0), "{tokens}");
    }
    let odd = post(json!({ "model": "stoa", "input": [4_000_000] })).await;
    failure(odd.unwrap(), 400, "invalid_request").await;
    let none = post(json!({ "model": "stoa", "input": "a", "dimensions": 0 })).await;
    failure(none.unwrap(), 400, "invalid_request").await;
    let unknown = post(json!({ "model": "fake", "input": "a" })).await;
    failure(unknown.unwrap(), 404, "model_not_found").await;
    let events = usage_events(&server, &instance).await;
    let kinds: Vec<_> = events.iter().map(|event| event.0.as_str()).collect();
    assert_eq!(kinds, ["embedding"; 5]);
    let usage = server
        .platform(Method::GET, &format!("/instances/{}/usage", instance.id))
        .send()
        .await
        .unwrap();
    let usage: Value = usage.json().await.unwrap();
    assert_eq!(
        usage["data"][0]["messages"], 0,
        "vectors are no messages: {usage}"
    );
}
