//! `Idempotency-Key`: what is sent twice is done once.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, problem};

async fn count(server: &Server, client: &TestInstance) -> usize {
    let list = ok(server.client(&client.key, Method::GET, "/api-configurations")).await;
    list["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_alike() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Twice").await;
    let other = TestInstance::create(&server, "Other").await;
    let add = |client: &TestInstance, key: &str, body: &Value| -> RequestBuilder {
        server
            .client(&client.key, Method::POST, "/api-configurations")
            .header("idempotency-key", key)
            .json(body)
    };
    let body = json!({
        "name": "One", "provider": "openai", "model": "m", "api_key": "sk-secret-0123456789",
    });
    let first = sent(add(&client, "a", &body)).await;
    assert!(!first.headers().contains_key("idempotent-replayed"));
    assert_eq!(first.status(), StatusCode::CREATED);
    let first: Value = first.json().await.unwrap();
    let again = sent(add(&client, "a", &body)).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    assert_eq!(count(&server, &client).await, 1);

    let another = json!({ "name": "Two", "provider": "passages" });
    let reused = sent(add(&client, "a", &another)).await;
    problem(reused, 422, "idempotency_key_reused").await;
    expect(add(&client, "b", &another), StatusCode::CREATED).await;
    assert_eq!(count(&server, &client).await, 2);
    // Another instance's keys are its own.
    expect(add(&other, "a", &another), StatusCode::CREATED).await;

    // What was refused had no effect, so its key is free again.
    let wrong = json!({ "name": "", "provider": "passages" });
    problem(sent(add(&client, "c", &wrong)).await, 422, "invalid_body").await;
    expect(add(&client, "c", &another), StatusCode::CREATED).await;
    for bad in ["", &"k".repeat(256)] {
        let refused = sent(add(&client, bad, &another)).await;
        problem(refused, 400, "idempotency_key_invalid").await;
    }
}

#[tokio::test]
async fn many_at_once_are_one() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Many").await;
    let body = json!({ "name": "One", "provider": "passages" });
    let send = || {
        let request = server
            .client(&client.key, Method::POST, "/api-configurations")
            .header("idempotency-key", "same")
            .json(&body);
        sent(request)
    };
    let answers = futures_util::future::join_all((0..8).map(|_| send())).await;
    let mut ids = Vec::new();
    for answer in answers {
        match answer.status() {
            StatusCode::CREATED => {
                let answer: Value = answer.json().await.unwrap();
                ids.push(answer["id"].as_str().unwrap().to_owned());
            }
            _ => {
                problem(answer, 409, "idempotency_key_in_progress").await;
            }
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(count(&server, &client).await, 1);
}

#[tokio::test]
async fn an_agents_reply_is_written_once() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Reply").await;
    let (session, _) = client.session(&server).await;
    let path = format!("/sessions/{session}/messages");
    let reply = || {
        server
            .client(&client.key, Method::POST, &path)
            .header("idempotency-key", "reply-1")
            .json(&json!({ "content": "A person here." }))
    };
    let first = expect(reply(), StatusCode::CREATED).await;
    assert_eq!(expect(reply(), StatusCode::CREATED).await, first);
    let messages = ok(server.client(&client.key, Method::GET, &path)).await;
    assert_eq!(messages["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_document_is_taken_once_whatever_the_forms_boundaries() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Documents").await;
    let upload = |boundary: &str, text: &str| {
        let form = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n"
        );
        server
            .client(&client.key, Method::POST, "/documents")
            .header("idempotency-key", "upload-1")
            .header(
                "content-type",
                format!("multipart/form-data; boundary={boundary}"),
            )
            .body(form)
    };
    let first = expect(upload("one", "Tents are waterproof."), StatusCode::ACCEPTED).await;
    let again = expect(upload("two", "Tents are waterproof."), StatusCode::ACCEPTED).await;
    assert_eq!(again, first);
    let other = sent(upload("one", "Tents leak.")).await;
    problem(other, 422, "idempotency_key_reused").await;
    let documents = ok(server.client(&client.key, Method::GET, "/documents")).await;
    assert_eq!(documents["data"].as_array().unwrap().len(), 1);
}
