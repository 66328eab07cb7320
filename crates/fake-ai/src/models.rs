//! Lists of models. Those that have pages have two.

use axum::Json;
use axum::extract::Query;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(crate) struct Page {
    /// Anthropic's.
    after_id: Option<String>,
    /// Gemini's.
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
}

/// `GET /v1/models`, which two formats have; Anthropic's clients name a version.
pub(crate) async fn openai_or_anthropic(
    headers: HeaderMap,
    Query(page): Query<Page>,
) -> Json<Value> {
    if !headers.contains_key("anthropic-version") {
        let model = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "fake"});
        return Json(
            json!({"object": "list", "data": [model("fake-chat"), model("fake-embedding")]}),
        );
    }
    let (id, more) = match page.after_id.as_deref() {
        None => ("fake-claude-1", true),
        Some(_) => ("fake-claude-2", false),
    };
    Json(json!({
        "data": [{"type": "model", "id": id, "display_name": "Fake Claude", "created_at": "2025-01-01T00:00:00Z"}],
        "has_more": more, "first_id": id, "last_id": id,
    }))
}

/// `GET /v1beta/models`.
pub(crate) async fn gemini(Query(page): Query<Page>) -> Json<Value> {
    let model = |name: &str, method: &str| {
        json!({"name": name, "displayName": "Fake Gemini", "inputTokenLimit": 1000,
            "outputTokenLimit": 100, "supportedGenerationMethods": [method, "countTokens"]})
    };
    Json(match page.page_token.as_deref() {
        None => json!({
            "models": [model("models/fake-gemini", "generateContent"), model("models/fake-imagen", "predict")],
            "nextPageToken": "second",
        }),
        Some(_) => json!({"models": [model("models/fake-embedding", "embedContent")]}),
    })
}

/// Azure's list, of what could be deployed.
pub(crate) async fn azure() -> Json<Value> {
    let model = |id, chats: bool, embeds: bool| {
        json!({"id": id, "object": "model", "status": "succeeded", "capabilities": {
            "fine_tune": false, "inference": true, "chat_completion": chats, "embeddings": embeds}})
    };
    Json(json!({"object": "list", "data": [
        model("fake-gpt", true, false),
        model("fake-embedding", false, true),
        model("fake-image", false, false),
    ]}))
}
