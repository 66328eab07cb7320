//! What is no request, and who is nobody.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, problem};

#[tokio::test]
async fn bodies_that_are_none_are_refused_with_a_sentence() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Bodies").await;
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(600 * 1024));
    for (path, method) in [
        ("/database", Method::PUT),
        ("/database/check", Method::POST),
        ("/api-configurations", Method::POST),
        ("/live-configuration", Method::PUT),
        ("/rag-instructions", Method::PUT),
        ("/budgets", Method::PUT),
        ("/tools", Method::POST),
    ] {
        for (body, status, code) in [
            ("", 400, "malformed_json"),
            ("{", 400, "malformed_json"),
            ("{} {}", 400, "malformed_json"),
            (r#"{"a":}"#, 400, "malformed_json"),
            ("\u{1F642}", 400, "malformed_json"),
            ("[1]", 422, "invalid_body"),
            ("null", 422, "invalid_body"),
            ("\"text\"", 422, "invalid_body"),
            (r#"{"instance_id":"x"}"#, 422, "invalid_body"),
            (r#"{"name":"a\u0000b"}"#, 422, "invalid_body"),
            (large.as_str(), 413, "body_too_large"),
        ] {
            let request = server
                .client(&client.key, method.clone(), path)
                .header("content-type", "application/json")
                .body(body.to_owned());
            let refused = problem(sent(request).await, status, code).await;
            let shown: String = body.chars().take(40).collect();
            assert!(
                refused["detail"].as_str().unwrap().len() > 15,
                "{path} {shown}"
            );
        }
        let untyped = server.client(&client.key, method, path).body("{}");
        problem(sent(untyped).await, 415, "unsupported_media_type").await;
    }
}

#[tokio::test]
async fn nobody_and_the_revoked_are_told_nothing() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Revoked").await;
    let routes = [
        (Method::GET, "/instance"),
        (Method::PUT, "/database"),
        (Method::POST, "/database/check"),
        (Method::GET, "/api-configurations"),
        (Method::POST, "/api-configurations"),
        (Method::GET, "/live-configuration"),
        (Method::PUT, "/rag-instructions"),
        (Method::GET, "/sessions"),
        (Method::GET, "/tools"),
        (Method::POST, "/tools"),
    ];
    let listed = format!("/instances/{}/api-keys", client.id);
    let keys = ok(server.platform(Method::GET, &listed)).await;
    let key_id = keys["data"][0]["id"].as_str().unwrap();
    ok(server.client(&client.key, Method::GET, "/instance")).await;
    let revoke = server.platform(Method::DELETE, &format!("{listed}/{key_id}"));
    expect(revoke, StatusCode::NO_CONTENT).await;

    let unknown = format!("stoa_ck_{}", "A".repeat(43));
    let platform = server.platform_token();
    for (method, path) in routes {
        for key in [client.key.as_str(), &unknown, platform, "", "nonsense"] {
            let request = server.client(key, method.clone(), path).json(&json!({}));
            let answer = sent(request).await;
            assert!(answer.headers().contains_key("www-authenticate"));
            problem(answer, 401, "unauthorized").await;
        }
        let bare = server.anonymous(method, &format!("/api/client/v1{path}"));
        problem(sent(bare).await, 401, "unauthorized").await;
    }
}
