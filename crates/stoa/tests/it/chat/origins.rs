//! Which sites may call the chat API from a browser.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Server, TestInstance, problem};

const SHOP: &str = "https://shop.example";
const STRANGER: &str = "https://stranger.example";

#[tokio::test]
async fn only_own_and_allowed_origins_may_call_the_chat_from_a_browser() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let allow = server
        .client(&instance.key, Method::PUT, "/live-configuration")
        .json(&json!({ "access": { "allowed_origins": [SHOP] } }))
        .send()
        .await
        .unwrap();
    assert_eq!(allow.status(), StatusCode::OK);
    let begin = |origin: &str| {
        server
            .anonymous(Method::POST, "/api/chat/v1/sessions")
            .header("origin", origin)
            .json(&json!({ "instance_id": instance.id }))
            .send()
    };
    let own = begin(&server.base).await.unwrap();
    assert_eq!(own.status(), StatusCode::CREATED);
    assert!(own.headers().get("access-control-allow-origin").is_none());
    let allowed = begin(SHOP).await.unwrap();
    assert_eq!(allowed.status(), StatusCode::CREATED);
    assert_eq!(allowed.headers()["access-control-allow-origin"], SHOP);
    assert!(
        allowed
            .headers()
            .get("access-control-allow-credentials")
            .is_none()
    );
    for wrong in [STRANGER, "null", "https://shop.example.stranger.example"] {
        problem(begin(wrong).await.unwrap(), 403, "origin_not_allowed").await;
    }

    let (session, token) = instance.session(&server).await;
    let path = format!("/sessions/{session}/messages");
    let send = |origin: &str| {
        let body = json!({ "content": "hello" });
        server
            .visitor(&token, Method::POST, &path)
            .header("origin", origin)
            .json(&body)
            .send()
    };
    problem(send(STRANGER).await.unwrap(), 403, "origin_not_allowed").await;
    assert_eq!(send(SHOP).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn preflights_are_answered_without_credentials() {
    let server = Server::start().await;
    let response = server
        .anonymous(Method::OPTIONS, "/api/chat/v1/sessions")
        .header("origin", SHOP)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], SHOP);
    assert!(
        headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("authorization")
    );
    assert!(headers.get("access-control-allow-credentials").is_none());
}
