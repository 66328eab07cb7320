//! AI configurations: keys that never come out, tests that make an instance active.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, model_at, problem};

const KEY: &str = "sk-test-0123456789abcdef";

#[tokio::test]
async fn a_key_goes_in_and_never_comes_out() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Keys").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let body = json!({
        "name": "Main", "provider": "openai", "model": "gpt-x", "api_key": KEY,
        "embedding_model": "embed-x", "temperature": 0.5, "max_output_tokens": 800,
        "priority": 3, "enabled": false, "input_price": 0.15, "output_price": 0.6,
    });
    let added = expect(
        call(Method::POST, "/api-configurations").json(&body),
        StatusCode::CREATED,
    )
    .await;
    assert_eq!(added["key_hint"], "cdef");
    assert_eq!(added["base_url"], Value::Null);
    for (field, value) in body.as_object().unwrap() {
        if field != "api_key" {
            assert_eq!(&added[field], value, "{field}");
        }
    }
    let path = format!("/api-configurations/{}", added["id"].as_str().unwrap());
    assert_eq!(ok(call(Method::GET, &path)).await, added);
    let list = ok(call(Method::GET, "/api-configurations")).await;
    assert_eq!(list, json!({ "data": [added], "next_cursor": null }));
    assert!(!list.to_string().contains("sk-test"), "{list}");

    // Left out stays, null clears, and a changed key has another hint.
    let changes = json!({ "name": "Renamed", "temperature": null, "api_key": "sk-other-9999wxyz" });
    let changed = ok(call(Method::PATCH, &path).json(&changes)).await;
    assert_eq!(changed["name"], "Renamed");
    assert_eq!(changed["temperature"], Value::Null);
    assert_eq!(changed["max_output_tokens"], 800);
    assert_eq!(changed["key_hint"], "wxyz");

    expect(call(Method::DELETE, &path), StatusCode::NO_CONTENT).await;
    for method in [Method::GET, Method::DELETE] {
        problem(sent(call(method, &path)).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn a_stored_key_goes_to_no_other_address() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Addresses").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let body = model_at("https://a.example.com/v1", "m");
    let added = expect(
        call(Method::POST, "/api-configurations").json(&body),
        StatusCode::CREATED,
    )
    .await;
    assert_eq!(added["base_url"], "https://a.example.com/v1");
    let path = format!("/api-configurations/{}", added["id"].as_str().unwrap());
    for changes in [
        json!({ "base_url": "https://evil.example.com/v1" }),
        json!({ "provider": "ollama" }),
        json!({ "provider": "openai", "base_url": null }),
    ] {
        let refused = sent(call(Method::PATCH, &path).json(&changes)).await;
        problem(refused, 422, "key_required").await;
    }
    let same = json!({ "base_url": "https://a.example.com/v1", "priority": 7 });
    let kept = ok(call(Method::PATCH, &path).json(&same)).await;
    assert_eq!(
        (&kept["key_hint"], &kept["priority"]),
        (&json!("cdef"), &json!(7))
    );

    let with_key =
        json!({ "base_url": "https://b.example.com/v1", "api_key": "sk-for-b-0000beef" });
    let moved = ok(call(Method::PATCH, &path).json(&with_key)).await;
    assert_eq!(moved["base_url"], "https://b.example.com/v1");
    assert_eq!(moved["key_hint"], "beef");
    let without = json!({ "base_url": "https://c.example.com/v1", "api_key": null });
    let moved = ok(call(Method::PATCH, &path).json(&without)).await;
    assert_eq!(moved["key_hint"], Value::Null);
    let free = json!({ "base_url": "https://d.example.com/v1" });
    let moved = ok(call(Method::PATCH, &path).json(&free)).await;
    assert_eq!(moved["base_url"], "https://d.example.com/v1");
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Fields").await;
    let good = json!({ "name": "n", "provider": "openai", "model": "m", "api_key": KEY });
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("name", json!(7)),
        ("provider", json!("skynet")),
        ("model", Value::Null),
        ("api_key", Value::Null),
        ("api_key", json!("two words")),
        ("base_url", json!("file:///etc/passwd")),
        ("base_url", json!("https://user:pass@h.example")),
        ("temperature", json!(2.1)),
        ("temperature", json!("hot")),
        ("max_output_tokens", json!(0)),
        ("max_output_tokens", json!(1_000_001)),
        ("priority", json!(-1)),
        ("priority", json!(1_001)),
        ("enabled", json!("yes")),
        ("input_price", json!(-0.01)),
        ("embedding_model", json!("")),
        ("role", json!("owner")),
        ("id", json!("00000000-0000-7000-8000-000000000000")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let add = server.client(&client.key, Method::POST, "/api-configurations");
        let refused = problem(sent(add.json(&body)).await, 422, "invalid_body").await;
        let named = refused["errors"].to_string();
        assert!(named.contains(field), "{field} {value}: {named}");
    }
    for (provider, field) in [("openai_compatible", "base_url"), ("anthropic", "api_key")] {
        let body = json!({ "name": "n", "provider": provider, "model": "m" });
        let add = server.client(&client.key, Method::POST, "/api-configurations");
        let refused = problem(sent(add.json(&body)).await, 422, "invalid_body").await;
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let list = server.client(&client.key, Method::GET, "/api-configurations");
    assert_eq!(ok(list).await["data"], json!([]));
}

#[tokio::test]
async fn a_test_says_what_the_provider_said_and_a_good_one_makes_the_instance_active() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Tests").await;
    let fake = FakeAi::start().await.unwrap();
    let call = |method, path: &str| server.client(&client.key, method, path);
    let status = async || ok(call(Method::GET, "/instance")).await["status"].clone();
    let add = async |body: Value| {
        let added = expect(
            call(Method::POST, "/api-configurations").json(&body),
            StatusCode::CREATED,
        );
        format!(
            "/api-configurations/{}",
            added.await["id"].as_str().unwrap()
        )
    };
    let test = async |path: &str| ok(call(Method::POST, &format!("{path}/test"))).await;

    for (model, base_url, code) in [
        ("fake:error=401", fake.base_url(), "bad_key"),
        ("fake:error=404", fake.base_url(), "not_found"),
        ("fake:error=quota", fake.base_url(), "no_quota"),
        ("fake:error=500", fake.base_url(), "overloaded"),
        ("fake:html", fake.base_url(), "protocol"),
        ("m", "http://127.0.0.1:1/v1".into(), "unreachable"),
        ("m", "http://10.0.0.1/v1".into(), "forbidden"),
        ("m", "http://169.254.169.254/v1".into(), "forbidden"),
    ] {
        let path = add(model_at(&base_url, model)).await;
        let failed = test(&path).await;
        assert_eq!(failed["ok"], false, "{model}: {failed}");
        assert_eq!(failed["error"]["code"], code, "{failed}");
        assert!(failed["error"]["message"].as_str().unwrap().len() > 10);
        assert!(!failed.to_string().contains(KEY), "{failed}");
        let stored = ok(call(Method::GET, &path)).await;
        assert_eq!(
            (&stored["test_ok"], &stored["test_error"]),
            (&json!(false), &json!(code))
        );
        expect(call(Method::DELETE, &path), StatusCode::NO_CONTENT).await;
    }
    // xAI answers and does not embed.
    let unspoken = json!({
        "name": "n", "provider": "xai", "model": "fake", "api_key": KEY,
        "base_url": fake.base_url(), "embedding_model": "m",
    });
    let path = add(unspoken).await;
    assert_eq!(test(&path).await["error"]["code"], "unsupported");
    expect(call(Method::DELETE, &path), StatusCode::NO_CONTENT).await;

    // Embeddings are part of the test where the configuration names a model for them.
    let mut body = model_at(&fake.base_url(), "fake");
    body["embedding_model"] = json!("fake:short");
    let path = add(body).await;
    assert_eq!(test(&path).await["error"]["code"], "protocol");
    assert_eq!(status().await, "awaiting_setup");

    let changes = json!({ "embedding_model": "fake-embedding", "enabled": false });
    ok(call(Method::PATCH, &path).json(&changes)).await;
    let passed = test(&path).await;
    assert_eq!(passed["ok"], true, "{passed}");
    assert!(passed["took_ms"].is_u64() && passed["model"].is_string());
    assert!(passed.get("error").is_none());
    assert_eq!(status().await, "awaiting_setup", "it is switched off");
    ok(call(Method::PATCH, &path).json(&json!({ "enabled": true }))).await;
    assert_eq!(status().await, "active");
    let stored = ok(call(Method::GET, &path)).await;
    assert_eq!(stored["test_ok"], true);

    // Another key was not tested.
    let changes = json!({ "api_key": "sk-another-key-0000" });
    let changed = ok(call(Method::PATCH, &path).json(&changes)).await;
    assert_eq!(
        (&changed["test_ok"], &changed["tested_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(status().await, "active", "it stays active");
}

#[tokio::test]
async fn another_instances_configuration_is_not_there() {
    let server = Server::start().await;
    let (mine, theirs) = (
        TestInstance::create(&server, "Mine").await,
        TestInstance::create(&server, "Theirs").await,
    );
    let body = json!({ "name": "P", "provider": "passages" });
    let added = expect(
        server
            .client(&theirs.key, Method::POST, "/api-configurations")
            .json(&body),
        StatusCode::CREATED,
    )
    .await;
    let path = format!("/api-configurations/{}", added["id"].as_str().unwrap());
    let nowhere = "/api-configurations/00000000-0000-7000-8000-000000000000";
    for path in [path.as_str(), nowhere, "/api-configurations/x"] {
        for (method, suffix) in [
            (Method::GET, ""),
            (Method::PATCH, ""),
            (Method::DELETE, ""),
            (Method::POST, "/test"),
        ] {
            let request = server.client(&mine.key, method, &format!("{path}{suffix}"));
            problem(sent(request.json(&json!({}))).await, 404, "not_found").await;
        }
    }
    assert_eq!(
        ok(server.client(&theirs.key, Method::GET, &path)).await,
        added
    );
}
