//! The client API, as a client's own program uses it.

mod api_configurations;
mod bad_input;
mod database;
mod database_tls;
mod documents;
mod live_configuration;
mod mcp_servers;
mod models;
mod once;
mod rag_instructions;
mod sessions;
mod tools;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use stoa_domain::{Clock, InstanceId, Random};

use crate::support::{Server, TestInstance};

/// Sends a request and expects this status; gives the body, or null when there is none.
async fn expect(request: RequestBuilder, status: StatusCode) -> Value {
    let response = request.send().await.expect("an answer");
    let seen = response.status();
    let text = response.text().await.expect("a body");
    assert_eq!(seen, status, "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Sends a request and expects success.
async fn ok(request: RequestBuilder) -> Value {
    expect(request, StatusCode::OK).await
}

async fn sent(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// An instance whose database is to be the client's own, and is not connected yet.
async fn unconnected(server: &Server, name: &str) -> TestInstance {
    let body = json!({
        "name": name,
        "admin_email": "ada@example.com",
        "database": { "mode": "external" },
    });
    let request = server.platform(Method::POST, "/instances").json(&body);
    let created = expect(request, StatusCode::CREATED).await;
    TestInstance::with_key(server, created).await
}

/// A database of the client's own: with a role of its own, on a server that is not the platform's
/// to manage as far as the platform knows.
async fn own_database(server: &Server) -> String {
    let somebody = InstanceId::generate(&Clock::system(), &Random::system());
    address_for(server, somebody).await
}

/// The same database with another password, when called again.
async fn address_for(server: &Server, instance: InstanceId) -> String {
    let cluster = server.app.settings().managed.as_ref().expect("a cluster");
    let address = cluster
        .create(instance, server.app.random())
        .await
        .expect("a database");
    address.to_secret_url().expose_secret().to_owned()
}
