//! Failures in OpenAI's shape, readers who leave, and browsers.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::{FakeAi, Outcome};

use super::{call, chunks, failure, usage_events, user};
use crate::support::{Server, TestInstance, eventually, model_at};

#[tokio::test]
async fn failures_have_openais_shape_and_statuses() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let path = "/v1/chat/completions";
    let good = json!({ "model": "fake", "messages": user("hello you there") });
    let post = |body: Value| call(&server, &instance.key, path, &body).send();

    let nobody = server
        .anonymous(Method::POST, path)
        .json(&good)
        .send()
        .await;
    failure(nobody.unwrap(), 401, "invalid_api_key").await;
    let stranger = call(&server, "sk-wrong", path, &good).send().await;
    failure(stranger.unwrap(), 401, "invalid_api_key").await;
    let unknown = post(json!({ "model": "gpt-9", "messages": user("a") })).await;
    let body = failure(unknown.unwrap(), 404, "model_not_found").await;
    assert_eq!(body["error"]["param"], "model");
    let malformed = server
        .anonymous(Method::POST, path)
        .bearer_auth(&instance.key)
        .header("content-type", "application/json")
        .body("{\"model\":")
        .send()
        .await;
    failure(malformed.unwrap(), 400, "invalid_request").await;
    let shapeless = post(json!({ "model": "fake", "messages": "hello" })).await;
    let body = failure(shapeless.unwrap(), 400, "invalid_request").await;
    assert_eq!(body["error"]["param"], "messages", "{body}");
    let nameless = post(json!({ "messages": user("a") })).await;
    let body = failure(nameless.unwrap(), 400, "invalid_request").await;
    assert_eq!(body["error"]["param"], "model", "{body}");
    for (method, path, status, code) in [
        (Method::GET, path, 405, "method_not_allowed"),
        (Method::POST, "/v1/responses", 404, "not_found"),
    ] {
        let sent = server.anonymous(method, path).bearer_auth(&instance.key);
        failure(sent.send().await.unwrap(), status, code).await;
    }
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://x" } }] }]);
    let image = post(json!({ "model": "fake", "messages": image })).await;
    failure(image.unwrap(), 400, "unsupported_parameter").await;
    let several = post(json!({ "model": "fake", "n": 3, "messages": user("a") })).await;
    failure(several.unwrap(), 400, "unsupported_parameter").await;

    for (behaviour, status, code) in [
        ("error=429,retry_after=7", 429, "rate_limit_exceeded"),
        ("error=quota", 429, "insufficient_quota"),
        ("error=context", 400, "context_length_exceeded"),
        ("error=filter", 400, "content_filter"),
        ("error=401", 502, "provider_bad_key"),
        ("error=503", 503, "provider_overloaded"),
        ("error=422", 400, "provider_rejected"),
    ] {
        for is_streamed in [false, true] {
            // A model of its own: one that has failed is not asked for a while.
            let model = format!("failing-{code}-{is_streamed}");
            fake.set_behaviour(stoa_fake_ai::Behaviour::default());
            instance
                .add_model(&server, model_at(&fake.base_url(), &model))
                .await;
            fake.set_behaviour(stoa_fake_ai::Behaviour::parse(behaviour).unwrap());
            let mut body = good.clone();
            body["model"] = json!(model);
            body["stream"] = json!(is_streamed);
            let response = post(body).await.unwrap();
            if behaviour.contains("retry_after") {
                assert_eq!(response.headers()["retry-after"], "7", "{behaviour}");
            }
            let body = failure(response, status, code).await;
            assert!(!body.to_string().contains("sk-test"), "{body}");
        }
    }
    // In the middle of a stream, the libraries know an event with an error.
    fake.set_behaviour(stoa_fake_ai::Behaviour::parse("tokens=20,error_after=3").unwrap());
    let mut body = good.clone();
    body["stream"] = json!(true);
    let seen = chunks(post(body).await.unwrap()).await;
    let last = seen.last().unwrap();
    assert_eq!(last["error"]["type"], "server_error", "{last}");
    assert!(
        seen.iter().all(|chunk| !chunk.is_null()),
        "no [DONE] after a failure: {seen:?}"
    );
    let whole = post(good.clone()).await.unwrap();
    assert_eq!(whole.status(), StatusCode::SERVICE_UNAVAILABLE);
    let events = usage_events(&server, &instance).await;
    assert_eq!(
        events.len(),
        2,
        "answers that began are counted, refusals are not: {events:?}"
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_answer_at_the_provider_and_is_counted() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let before = fake.requests().len();
    fake.set_behaviour(stoa_fake_ai::Behaviour::parse("tokens=100000,rate=50").unwrap());
    for (model, is_streamed) in [("fake", true), ("stoa", true), ("fake", false)] {
        let body = json!({ "model": model, "stream": is_streamed, "messages": user("Tell me all about it.") });
        let request = call(&server, &instance.key, "/v1/chat/completions", &body);
        if is_streamed {
            let mut stream = request.send().await.unwrap().bytes_stream();
            for _ in 0..3 {
                stream.next().await.unwrap().unwrap();
            }
        } else {
            let hurried = request.timeout(Duration::from_millis(700)).send().await;
            assert!(hurried.unwrap_err().is_timeout());
        }
        eventually("the provider being hung up", || async {
            let last = fake.requests().pop()?;
            (last.outcome == Some(Outcome::Disconnected)).then_some(())
        })
        .await;
    }
    assert_eq!(fake.requests().len() - before, 3);
    let events = eventually("three counted completions", || async {
        let events = usage_events(&server, &instance).await;
        (events.len() == 3).then_some(events)
    })
    .await;
    assert!(
        events
            .iter()
            .all(|event| *event == ("completion".to_owned(), None)),
        "{events:?}"
    );
}

#[tokio::test]
async fn no_site_may_read_it_from_a_browser() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let preflight = server
        .anonymous(Method::OPTIONS, "/v1/chat/completions")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .send()
        .await
        .unwrap();
    let models = server
        .anonymous(Method::GET, "/v1/models")
        .bearer_auth(&instance.key)
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    for response in [preflight, models] {
        assert!(
            response
                .headers()
                .get("access-control-allow-origin")
                .is_none()
        );
    }
}
