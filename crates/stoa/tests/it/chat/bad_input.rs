//! What a visitor may send wrong, and what then happens: a problem, and nothing stored.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Server, TestInstance, problem};

#[tokio::test]
async fn unfit_messages_are_refused_and_not_stored() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let (session, token) = instance.session(&server).await;
    let path = format!("/sessions/{session}/messages");
    let send = |body: &str| {
        let request = server
            .visitor(&token, Method::POST, &path)
            .header("content-type", "application/json");
        request.body(body.to_owned()).send()
    };
    let endless = json!({ "content": "x".repeat(100 * 1024) }).to_string();
    let cases = [
        (r#"{"content": "#, 400, "malformed_json"),
        (r#"{"content": ""}"#, 422, "message_empty"),
        (r#"{"content": "  \n "}"#, 422, "message_empty"),
        (r#"{"content": 7}"#, 422, "invalid_body"),
        (r#"{}"#, 422, "invalid_body"),
        (
            r#"{"content": "a", "role": "assistant"}"#,
            422,
            "invalid_body",
        ),
        (r#"{"content": "a\u0000b"}"#, 422, "invalid_body"),
        (
            r#"{"content": "a", "client_message_id": ""}"#,
            422,
            "invalid_body",
        ),
        (endless.as_str(), 413, "message_too_long"),
    ];
    for (body, status, code) in cases {
        problem(send(body).await.unwrap(), status, code).await;
    }
    let far_too_large = format!(r#"{{"content": "{}"}}"#, "x".repeat(2 * 1024 * 1024));
    problem(send(&far_too_large).await.unwrap(), 413, "body_too_large").await;

    let history = server
        .visitor(&token, Method::GET, &path)
        .send()
        .await
        .unwrap();
    let history: Value = history.json().await.unwrap();
    assert_eq!(history, json!({ "data": [], "next_cursor": null }));
}

#[tokio::test]
async fn another_conversations_token_opens_nothing() {
    let server = Server::start().await;
    let (one, other) = (
        TestInstance::active(&server, "One").await,
        TestInstance::active(&server, "Two").await,
    );
    let (session, token) = one.session(&server).await;
    let (second_session, second_token) = one.session(&server).await;
    let (_, foreign_token) = other.session(&server).await;
    let body = json!({ "content": "hello" });
    for wrong in [&second_token, &foreign_token] {
        for (method, path) in [
            (Method::GET, format!("/sessions/{session}")),
            (Method::GET, format!("/sessions/{session}/messages")),
            (Method::POST, format!("/sessions/{session}/messages")),
            (Method::POST, format!("/sessions/{session}/stop")),
        ] {
            let response = server
                .visitor(wrong, method, &path)
                .json(&body)
                .send()
                .await
                .unwrap();
            problem(response, 404, "not_found").await;
        }
    }
    let own = server
        .visitor(&token, Method::GET, &format!("/sessions/{session}"))
        .send()
        .await
        .unwrap();
    assert_eq!(own.status(), StatusCode::OK);
    assert_ne!(session, second_session);
}

#[tokio::test]
async fn missing_and_wrong_credentials_are_401() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let (session, _) = instance.session(&server).await;
    let path = format!("/sessions/{session}");
    let anonymous = server
        .anonymous(Method::GET, &format!("/api/chat/v1{path}"))
        .send()
        .await
        .unwrap();
    problem(anonymous, 401, "unauthorized").await;
    for wrong in [
        "stoa_cs_AAAA",
        "nonsense",
        instance.key.as_str(),
        server.platform_token(),
    ] {
        problem(
            server
                .visitor(wrong, Method::GET, &path)
                .send()
                .await
                .unwrap(),
            401,
            "unauthorized",
        )
        .await;
    }
}

#[tokio::test]
async fn a_chat_that_is_not_active_says_so() {
    let server = Server::start().await;
    let waiting = TestInstance::create(&server, "Waiting").await;
    let begin = |id: &str| {
        server
            .anonymous(Method::POST, "/api/chat/v1/sessions")
            .json(&json!({ "instance_id": id }))
            .send()
    };
    problem(
        begin(&waiting.id).await.unwrap(),
        409,
        "instance_not_active",
    )
    .await;
    problem(
        begin("0190a1b2-0000-7000-8000-000000000000").await.unwrap(),
        404,
        "not_found",
    )
    .await;

    let active = TestInstance::active(&server, "Active").await;
    let (session, token) = active.session(&server).await;
    let suspend = server
        .platform(Method::POST, &format!("/instances/{}/suspend", active.id))
        .json(&json!({ "reason": "unpaid" }))
        .send()
        .await
        .unwrap();
    assert_eq!(suspend.status(), StatusCode::OK);
    problem(begin(&active.id).await.unwrap(), 403, "instance_suspended").await;
    let path = format!("/sessions/{session}/messages");
    let sent = server
        .visitor(&token, Method::POST, &path)
        .json(&json!({ "content": "hello" }))
        .send()
        .await
        .unwrap();
    problem(sent, 403, "instance_suspended").await;
}
