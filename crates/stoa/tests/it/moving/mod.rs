//! Moving a client's database while people chat: there and back, under traffic, and cut off.

mod command_line;
mod crash;
mod refused;
mod there_and_back;
mod traffic;

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use stoa_client_db::provision::ManagedCluster;
use stoa_domain::{Clock, InstanceId, Random};
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_platform_db::testing::cluster_url;
use tokio_util::task::TaskTracker;

use crate::support::{Caller, TestInstance, read_stream};

/// A database of the client's own.
async fn own_database() -> String {
    let outbound = Outbound::new(AddressPolicy::loopback());
    let cluster = ManagedCluster::new(&cluster_url(), outbound, TaskTracker::new()).unwrap();
    let somebody = InstanceId::generate(&Clock::system(), &Random::system());
    let address = cluster.create(somebody, &Random::system()).await.unwrap();
    address.to_secret_url().expose_secret().to_owned()
}

/// The database that the platform made for an instance, as the superuser sees it.
pub(crate) fn managed_database(client: &TestInstance) -> String {
    let mut url: url::Url = cluster_url().parse().unwrap();
    url.set_path(&format!("stoa_{}", client.id.replace('-', "")));
    url.into()
}

/// What a query of one number says.
async fn number(url: &str, sql: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&mut connection)
        .await
        .expect("a number")
}

/// Sends a request of the client's; gives the status and the body.
async fn call(
    server: &Caller,
    client: &TestInstance,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    let request = server.client(&client.key, method, path);
    let request = if body.is_null() {
        request
    } else {
        request.json(&body)
    };
    let response = request.send().await.expect("an answer");
    let status = response.status();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn begin_move(server: &Caller, client: &TestInstance, body: Value) -> Value {
    let (status, begun) = call(server, client, Method::PUT, "/database", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    begun["move"].clone()
}

async fn latest_move(server: &Caller, client: &TestInstance) -> Value {
    let (status, shown) = call(server, client, Method::GET, "/database/move", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    shown["move"].clone()
}

/// Waits until the latest move is over, or in this phase.
async fn moved(server: &Caller, client: &TestInstance, phase: &str) -> Value {
    let begun = Instant::now();
    loop {
        let latest = latest_move(server, client).await;
        if latest["phase"] == phase {
            return latest;
        }
        let is_over = ["done", "cancelled", "failed"].contains(&latest["phase"].as_str().unwrap());
        assert!(!is_over, "it should have been {phase}: {latest}");
        assert!(begun.elapsed() < Duration::from_secs(150), "{latest}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks something in a conversation and reads the answer to its end; the error where there is one.
async fn ask(caller: &Caller, token: &str, session: &str, text: &str) -> Result<(), String> {
    let response = caller
        .visitor(
            token,
            Method::POST,
            &format!("/sessions/{session}/messages"),
        )
        .json(&json!({ "content": text, "client_message_id": text }))
        .send()
        .await
        .map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(response.text().await.unwrap_or_default());
    }
    let events = read_stream(response, |_| false).await;
    let failed = events.iter().find(|event| event.kind() == "error");
    match failed {
        Some(failed) => Err(failed.data.to_string()),
        None if events.iter().any(|event| event.kind() == "finish") => Ok(()),
        None => Err(format!("no end: {events:?}")),
    }
}
