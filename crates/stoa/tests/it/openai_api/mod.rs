//! The OpenAI-compatible API, as a program speaks it. The official client libraries are tried in
//! `make e2e`.

mod completions;
mod failures;
mod tools;
mod vectors;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Server, TestInstance};

fn call(server: &Server, key: &str, path: &str, body: &Value) -> RequestBuilder {
    let request = server.anonymous(Method::POST, path).bearer_auth(key);
    request.json(body)
}

async fn complete(server: &Server, key: &str, body: Value) -> Value {
    let response = call(server, key, "/v1/chat/completions", &body)
        .send()
        .await
        .unwrap();
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// The chunks of a stream; null for `[DONE]`.
async fn chunks(response: Response) -> Vec<Value> {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = response.text().await.unwrap();
    let data = text
        .split("\n\n")
        .filter_map(|block| block.strip_prefix("data: "));
    data.map(|data| match data {
        "[DONE]" => Value::Null,
        data => serde_json::from_str(data).unwrap(),
    })
    .collect()
}

/// Checks a failure's status, shape and code.
async fn failure(response: Response, status: u16, code: &str) -> Value {
    let seen = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (seen, &body["error"]["code"]),
        (status, &json!(code)),
        "{body}"
    );
    let error = body["error"].as_object().unwrap();
    assert_eq!(error.len(), 4, "message, type, param and code: {body}");
    assert!(error["message"].as_str().unwrap().len() > 10, "{body}");
    assert!(error["type"].is_string(), "{body}");
    body
}

fn user(content: &str) -> Value {
    json!([{ "role": "user", "content": content }])
}

async fn usage_events(server: &Server, instance: &TestInstance) -> Vec<(String, Option<i64>)> {
    let mut connection = server.app.platform().acquire().await.unwrap();
    sqlx::query_as(
        "SELECT kind, output_tokens FROM stoa_platform.usage_events
         WHERE instance_id::text = $1 ORDER BY occurred_at",
    )
    .bind(&instance.id)
    .fetch_all(&mut *connection)
    .await
    .unwrap()
}
