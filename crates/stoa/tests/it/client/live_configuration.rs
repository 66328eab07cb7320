//! The chat's settings: versions, lost updates, what everybody sees within a second.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, eventually, problem};

const PATH: &str = "/live-configuration";

#[tokio::test]
async fn every_change_is_a_version_that_can_come_back() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Settings").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let first = ok(call(Method::GET, PATH)).await;
    assert_eq!(first["version"], 0);
    for part in ["display", "theme", "features", "access"] {
        assert!(first[part].is_object(), "{first}");
    }

    // What was read can be sent back changed.
    let mut edited = first.clone();
    edited["display"]["bot_name"] = json!("Fern");
    edited["access"]["allowed_origins"] = json!(["https://shop.example"]);
    let made = ok(call(Method::PUT, PATH).json(&edited)).await;
    assert_eq!(made["version"], 1);
    assert_eq!(made["display"], edited["display"]);
    assert_eq!(ok(call(Method::GET, PATH)).await, made);

    // What is left out gets its default.
    let small = json!({ "theme": { "accent": "#112233" } });
    let made = ok(call(Method::PUT, PATH).json(&small)).await;
    assert_eq!(made["version"], 2);
    assert_eq!(made["display"], first["display"]);
    assert_eq!(made["theme"]["accent"], "#112233");

    let restored = expect(
        call(Method::POST, &format!("{PATH}/versions/1/restore")),
        StatusCode::CREATED,
    )
    .await;
    assert_eq!(restored["version"], 3);
    assert_eq!(restored["display"]["bot_name"], "Fern");
    let versions = ok(call(Method::GET, &format!("{PATH}/versions"))).await;
    let numbers: Vec<_> = versions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(versions["data"][0]["changed_by"].is_string());
    for nowhere in ["9", "0", "-1", "x", "99999999999"] {
        let path = format!("{PATH}/versions/{nowhere}/restore");
        problem(sent(call(Method::POST, &path)).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn nobodys_change_is_overwritten_unseen() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Two editors").await;
    let put = |version: i64, name: &str| {
        let body = json!({ "version": version, "display": { "bot_name": name } });
        sent(server.client(&client.key, Method::PUT, PATH).json(&body))
    };
    let both = tokio::join!(put(0, "Ada"), put(0, "Bob"), put(0, "Cyd"), put(0, "Dan"));
    let answers = [both.0, both.1, both.2, both.3];
    let won = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::OK)
        .count();
    assert_eq!(won, 1);
    for answer in answers {
        if answer.status() != StatusCode::OK {
            problem(answer, 409, "configuration_outdated").await;
        }
    }
    for version in [0, 2, -5, i64::from(i32::MAX)] {
        problem(put(version, "Eve").await, 409, "configuration_outdated").await;
    }
    assert_eq!(put(1, "Ada again").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn another_replica_shows_a_change_within_a_second() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Replicas").await;
    let replica = server.replica().await;
    let path = format!("/api/chat/v1/instances/{}/configuration", client.id);
    let shown = async || ok(replica.anonymous(Method::GET, &path)).await.to_string();
    assert!(!shown().await.contains("Fern"));
    let body = json!({ "display": { "bot_name": "Fern" } });
    ok(server.client(&client.key, Method::PUT, PATH).json(&body)).await;
    let began = std::time::Instant::now();
    eventually("the new name", || async {
        shown().await.contains("Fern").then_some(())
    })
    .await;
    assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
}

#[tokio::test]
async fn wrong_settings_make_no_version() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Wrong settings").await;
    for (body, field) in [
        (json!({ "theme": { "accent": "red" } }), "theme.accent"),
        (
            json!({ "theme": { "logo_url": "javascript:1" } }),
            "theme.logo_url",
        ),
        (
            json!({ "display": { "greeting": "x".repeat(501) } }),
            "display.greeting",
        ),
        (json!({ "display": { "greeting": 1 } }), "display.greeting"),
        (
            json!({ "access": { "allowed_origins": ["*"] } }),
            "access.allowed_origins",
        ),
        (json!({ "css": "x" }), "css"),
        (json!({ "theme": { "css": "x" } }), "css"),
        (json!({ "version": "1" }), "version"),
    ] {
        let put = server.client(&client.key, Method::PUT, PATH).json(&body);
        let refused = problem(sent(put).await, 422, "invalid_body").await;
        assert!(refused["errors"].to_string().contains(field), "{refused}");
    }
    let seen: Value = ok(server.client(&client.key, Method::GET, PATH)).await;
    assert_eq!(seen["version"], 0);
}
