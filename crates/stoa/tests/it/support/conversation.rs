//! A conversation, as its visitor has it.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{Caller, StreamEvent, TestInstance, expect, read_stream};

/// A conversation on a server.
pub struct Conversation {
    server: Caller,
    /// The conversation's id.
    pub session: String,
    /// The token of who began it.
    pub token: String,
}

impl Conversation {
    /// Begins one.
    pub async fn begin(server: &Caller, instance: &TestInstance) -> Self {
        Self::begin_with(server, instance, json!({})).await
    }

    /// Begins one, with this said of the visitor.
    pub async fn begin_with(server: &Caller, instance: &TestInstance, mut said: Value) -> Self {
        said["instance_id"] = json!(instance.id);
        let request = server.anonymous(Method::POST, "/api/chat/v1/sessions");
        let begun = expect(request.json(&said), StatusCode::CREATED).await;
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self {
            server: server.clone(),
            session: text(&begun["session"]["id"]),
            token: text(&begun["token"]),
        }
    }

    /// The same conversation on another server.
    pub fn on(&self, server: &Caller) -> Self {
        Self {
            server: server.clone(),
            session: self.session.clone(),
            token: self.token.clone(),
        }
    }

    /// A request of the visitor's.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.visitor(&self.token, method, path)
    }

    /// Where its messages are.
    pub fn messages_path(&self) -> String {
        format!("/sessions/{}/messages", self.session)
    }

    /// A message that is to be sent.
    pub fn message(&self, content: &str) -> RequestBuilder {
        self.request(Method::POST, &self.messages_path())
            .json(&json!({ "content": content }))
    }

    /// Sends a message, and gives what comes of it.
    pub async fn send(&self, content: &str) -> Response {
        self.message(content).send().await.expect("an answer")
    }

    /// Asks, and reads the stream to its end.
    pub async fn events(&self, question: &str) -> Vec<StreamEvent> {
        read_stream(self.send(question).await, |_| false).await
    }

    /// Asks, and waits for the whole answer.
    pub async fn answer(&self, question: &str) -> Value {
        whole(self.message(question)).await
    }

    /// Goes on with the stream of an answer after an event.
    pub async fn resume(&self, message: &str, last: &str) -> Response {
        let request = self.stream(message).header("last-event-id", last);
        request.send().await.expect("an answer")
    }

    /// Stops the answer.
    pub async fn stop(&self) {
        let path = format!("/sessions/{}/stop", self.session);
        expect(self.request(Method::POST, &path), StatusCode::NO_CONTENT).await;
    }

    /// Reads the stream of an answer from its beginning.
    pub async fn replay(&self, message: &str) -> Vec<StreamEvent> {
        let response = self.stream(message).send().await.expect("an answer");
        read_stream(response, |_| false).await
    }

    fn stream(&self, message: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/messages/{message}/stream"))
    }

    /// Says whether a call of a tool may be made.
    pub async fn decide(&self, message: &str, approval: &str, approved: bool) -> Response {
        let path = format!("/messages/{message}/approvals/{approval}");
        let request = self.request(Method::POST, &path);
        let request = request.json(&json!({ "approved": approved }));
        request.send().await.expect("an answer")
    }

    /// The messages, as the visitor sees them.
    pub async fn history(&self) -> Vec<Value> {
        let path = format!("{}?limit=200", self.messages_path());
        let list = expect(self.request(Method::GET, &path), StatusCode::OK).await;
        list["data"].as_array().expect("a list").clone()
    }

    /// The messages, as the client's people see them.
    pub async fn history_of(&self, instance: &TestInstance) -> Vec<Value> {
        let path = self.messages_path();
        let request = self.server.client(&instance.key, Method::GET, &path);
        let list = expect(request, StatusCode::OK).await;
        list["data"].as_array().expect("a list").clone()
    }
}

/// Sends a message for its whole answer in one piece.
pub async fn whole(message: RequestBuilder) -> Value {
    expect(message.header("accept", "application/json"), StatusCode::OK).await
}
