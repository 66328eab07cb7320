//! An instance, made through the contract as its owner and its client would.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Caller, Conversation, eventually, expect};

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
        let request = server.platform(Method::POST, "/instances").json(&body);
        let created = expect(request, StatusCode::CREATED).await;
        Self::with_key(server, created).await
    }

    /// An instance as created, with a key.
    pub async fn with_key(server: &Caller, created: Value) -> Self {
        let id = created["instance"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let request = server
            .platform(Method::POST, &format!("/instances/{id}/api-keys"))
            .json(&json!({ "name": "tests" }));
        let key = expect(request, StatusCode::CREATED).await;
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

    /// An active instance whose model behaves like this. It passes its test before it does.
    pub async fn misbehaving(server: &Caller, name: &str, base_url: &str, behaviour: &str) -> Self {
        let instance = Self::create(server, name).await;
        let model = model_at(base_url, "fake");
        let model = instance.add_model(server, model).await;
        let change = json!({ "model": format!("fake:{behaviour}") });
        instance.change_model(server, &model, change).await;
        instance
    }

    /// Changes an AI configuration.
    pub async fn change_model(&self, server: &Caller, id: &str, change: Value) {
        let path = format!("/api-configurations/{id}");
        let request = server.client(&self.key, Method::PATCH, &path);
        expect(request.json(&change), StatusCode::OK).await;
    }

    /// Says how its bot is to answer, and gives what is stored of that.
    pub async fn instruct(&self, server: &Caller, instructions: Value) -> Value {
        let request = server.client(&self.key, Method::PUT, "/rag-instructions");
        expect(request.json(&instructions), StatusCode::OK).await
    }

    /// What it has used, by the platform's account.
    pub async fn usage(&self, server: &Caller) -> Value {
        let path = format!("/instances/{}/usage", self.id);
        expect(server.platform(Method::GET, &path), StatusCode::OK).await
    }

    /// Adds an AI configuration that passes its test, and gives its id.
    pub async fn add_model(&self, server: &Caller, configuration: Value) -> String {
        let request = server.client(&self.key, Method::POST, "/api-configurations");
        let added = expect(request.json(&configuration), StatusCode::CREATED).await;
        let id = added["id"].as_str().expect("an id").to_owned();
        let path = format!("/api-configurations/{id}/test");
        let request = server.client(&self.key, Method::POST, &path);
        let tested = expect(request, StatusCode::OK).await;
        assert_eq!(tested["ok"], true, "{tested}");
        id
    }

    /// The address of its managed database, as its client was given it.
    pub fn database_url(&self) -> String {
        let url = &self.created["env"]["CLIENT_DATABASE_URL"];
        url.as_str().expect("an address").to_owned()
    }

    /// Adds a text and waits until it is found by search.
    pub async fn add_text(&self, server: &Caller, title: &str, text: &str) -> String {
        let body = json!({ "title": title, "text": text });
        let request = server.client(&self.key, Method::POST, "/documents");
        let added = expect(request.json(&body), StatusCode::ACCEPTED).await;
        let id = added["id"].as_str().expect("an id").to_owned();
        let document = self.finished_document(server, &id).await;
        assert_eq!(document["status"], "ready", "{document}");
        id
    }

    /// Waits until a document is ready or has failed.
    pub async fn finished_document(&self, server: &Caller, id: &str) -> Value {
        eventually("a document that is ready or failed", || async {
            let request = server.client(&self.key, Method::GET, &format!("/documents/{id}"));
            let document = expect(request, StatusCode::OK).await;
            matches!(document["status"].as_str(), Some("ready" | "failed")).then_some(document)
        })
        .await
    }

    /// Begins a conversation: its id and its token.
    pub async fn session(&self, server: &Caller) -> (String, String) {
        let begun = Conversation::begin(server, self).await;
        (begun.session, begun.token)
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
