//! An instance, made through the contract as its owner and its client would.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, eventually};

/// An instance with a client API key.
pub struct TestInstance {
    /// Its id.
    pub id: String,
    /// Its name in addresses.
    pub slug: String,
    /// A client API key.
    pub key: String,
    /// What `POST /instances` answered.
    pub created: Value,
}

impl TestInstance {
    /// A managed instance that awaits its set-up.
    pub async fn create(server: &Caller, name: &str) -> Self {
        let body = json!({ "name": name, "admin_email": "ada@example.com" });
        let response = server
            .platform(Method::POST, "/instances")
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            response.status(),
            StatusCode::CREATED,
            "{}",
            response.text().await.unwrap_or_default()
        );
        let created: Value = response.json().await.expect("JSON");
        Self::with_key(server, created).await
    }

    /// An instance as created, with a key.
    pub async fn with_key(server: &Caller, created: Value) -> Self {
        let id = created["instance"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let response = server
            .platform(Method::POST, &format!("/instances/{id}/api-keys"))
            .json(&json!({ "name": "tests" }))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), StatusCode::CREATED);
        let key: Value = response.json().await.expect("JSON");
        Self {
            key: key["key"].as_str().expect("a key").to_owned(),
            slug: created["instance"]["slug"]
                .as_str()
                .expect("a slug")
                .to_owned(),
            id,
            created,
        }
    }

    /// An active instance that answers by quoting its documents.
    pub async fn active(server: &Caller, name: &str) -> Self {
        let instance = Self::create(server, name).await;
        instance
            .add_model(
                server,
                json!({ "name": "Passages", "provider": "passages", "model": "passages" }),
            )
            .await;
        instance
    }

    /// An active instance whose answers come from a server that speaks OpenAI's format.
    pub async fn answering_from(server: &Caller, name: &str, base_url: &str) -> Self {
        let instance = Self::create(server, name).await;
        instance.add_model(server, model_at(base_url, "fake")).await;
        instance
    }

    /// Adds an AI configuration that passes its test, and gives its id.
    pub async fn add_model(&self, server: &Caller, configuration: Value) -> String {
        let response = server
            .client(&self.key, Method::POST, "/api-configurations")
            .json(&configuration)
            .send()
            .await
            .expect("an answer");
        let (status, body) = (
            response.status(),
            response.json::<Value>().await.expect("JSON"),
        );
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let id = body["id"].as_str().expect("an id").to_owned();
        let path = format!("/api-configurations/{id}/test");
        let tested = server
            .client(&self.key, Method::POST, &path)
            .send()
            .await
            .expect("an answer");
        let tested: Value = tested.json().await.expect("JSON");
        assert_eq!(tested["ok"], true, "{tested}");
        id
    }

    /// Adds a text and waits until it is found by search.
    pub async fn add_text(&self, server: &Caller, title: &str, text: &str) -> String {
        let body = json!({ "title": title, "text": text });
        let response = server
            .client(&self.key, Method::POST, "/documents")
            .json(&body)
            .send()
            .await
            .expect("an answer");
        let (status, added) = (
            response.status(),
            response.json::<Value>().await.expect("JSON"),
        );
        assert_eq!(status, StatusCode::ACCEPTED, "{added}");
        let id = added["id"].as_str().expect("an id").to_owned();
        let document = self.finished_document(server, &id).await;
        assert_eq!(document["status"], "ready", "{document}");
        id
    }

    /// Waits until a document is ready or has failed.
    pub async fn finished_document(&self, server: &Caller, id: &str) -> Value {
        eventually("a document that is ready or failed", || async {
            let path = format!("/documents/{id}");
            let response = server
                .client(&self.key, Method::GET, &path)
                .send()
                .await
                .expect("an answer");
            let document: Value = response.json().await.expect("JSON");
            matches!(document["status"].as_str(), Some("ready" | "failed")).then_some(document)
        })
        .await
    }

    /// Begins a conversation: its id and its token.
    pub async fn session(&self, server: &Caller) -> (String, String) {
        let response = server
            .anonymous(Method::POST, "/api/chat/v1/sessions")
            .json(&json!({ "instance_id": self.id }))
            .send()
            .await
            .expect("an answer");
        let (status, begun) = (
            response.status(),
            response.json::<Value>().await.expect("JSON"),
        );
        assert_eq!(status, StatusCode::CREATED, "{begun}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&begun["session"]["id"]), text(&begun["token"]))
    }
}

/// An AI configuration for a server that speaks OpenAI's format. The model's name may carry the
/// fake provider's behaviour, as in `fake:delay=200`.
pub fn model_at(base_url: &str, model: &str) -> Value {
    json!({
        "name": "Fake",
        "provider": "openai_compatible",
        "model": model,
        "base_url": base_url,
        "api_key": "sk-test-0123456789abcdef",
    })
}
