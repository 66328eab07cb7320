//! What calls took: given back, waited for, and counted also where they failed.

use axum::response::IntoResponse as _;
use reqwest::{Method, StatusCode};
use serde_json::json;
use stoa_fake_ai::FakeAi;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::{is_stopped, priced, set_day, spent};
use crate::support::{Conversation, Server, TestInstance, expect};

#[tokio::test]
async fn who_comes_at_once_waits_for_what_others_only_have_reserved() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let replica = server.replica().await;
    let instance = priced(&server, &fake, "tokens=10,delay=100").await;
    // Room for one or two answers of the greatest length, and for all of them as they are.
    set_day(&server, &instance, 3_000).await;
    let mut chats = Vec::new();
    for number in 0..12 {
        let chat = Conversation::begin(&server, &instance).await;
        chats.push(match number % 2 {
            0 => chat,
            _ => chat.on(&replica),
        });
    }
    let asking = chats.iter().map(|chat| chat.answer("at once"));
    let answers = futures_util::future::join_all(asking).await;
    assert!(!answers.iter().any(is_stopped), "{answers:?}");
    let spent = spent(&server, &instance).await;
    assert!((120..3_000).contains(&spent), "{spent}");
}

#[tokio::test]
async fn what_a_provider_counted_of_a_call_that_failed_is_spent() {
    let server = Server::start().await;
    let provider = failing().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let add = json!({
        "name": "main", "provider": "openai_compatible", "model": "m", "api_key": "sk-0123456789",
        "base_url": provider, "enabled": true, "priority": 1,
    });
    let request = server.client(&instance.key, Method::POST, "/api-configurations");
    let added = expect(request.json(&add), StatusCode::CREATED).await;
    let path = format!("/api-configurations/{}/test", added["id"].as_str().unwrap());
    let request = server.client(&instance.key, Method::POST, &path);
    let tested = expect(request, StatusCode::OK).await;
    assert_eq!(tested["ok"], false, "{tested}");
    assert_eq!(spent(&server, &instance).await, 7, "by its test");
}

/// An address at which every call fails, and is counted.
async fn failing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let refuse = || async {
        let said = json!({
            "error": {"message": "The answer was filtered.", "code": "content_filter"},
            "usage": {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7},
        });
        (StatusCode::BAD_REQUEST, axum::Json(said)).into_response()
    };
    let router = axum::Router::new().fallback(refuse);
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    url
}
