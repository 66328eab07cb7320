//! Instances on the platform's side, through the contract.

mod bad_input;
mod idempotency;
mod life;
mod provisioning;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::Server;

async fn create(server: &Server, body: Value) -> Response {
    server
        .platform(Method::POST, "/instances")
        .json(&body)
        .send()
        .await
        .expect("an answer")
}

async fn created(server: &Server, body: Value) -> Value {
    let response = create(server, body).await;
    let (status, body) = (
        response.status(),
        response.json::<Value>().await.expect("JSON"),
    );
    assert_eq!(status, 201, "{body}");
    body
}

async fn get(server: &Server, path: &str) -> Value {
    let response = server
        .platform(Method::GET, path)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.expect("JSON")
}

fn named(name: &str) -> Value {
    json!({ "name": name, "admin_email": "ada@example.com" })
}

/// Whether somebody may sign in to the database at this address.
async fn reachable(url: &str) -> bool {
    use secrecy::SecretString;
    use stoa_platform_db::PlatformDb;
    match PlatformDb::connect(&SecretString::from(url.to_owned()), 1).await {
        Ok(database) => {
            database.close().await;
            true
        }
        Err(_) => false,
    }
}
