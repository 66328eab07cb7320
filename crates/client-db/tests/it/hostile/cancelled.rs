//! Statements that nobody waits for any more are stopped on the server.

use std::time::Duration;

use stoa_client_db::{
    CertificateAuthority, ClientDbError, DatabaseAddress, PooledConnection, sessions,
};
use stoa_domain::SessionId;
use stoa_fake_postgres::{Act, Answer, Proxy, Script};
use tokio::time::{sleep, timeout};

use super::{Hostile, marked};
use crate::{
    support::{Client, hasty, new, new_id, psql, rules, url_of},
    tls::tls_in_front,
    tls_postgres::certificate,
};

/// How many statements wait for a lock in `client`'s database.
async fn waiting(client: &Client) -> String {
    let database = client.target.address.database();
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    psql(&url_of(database), count).await.unwrap()
}

async fn until_nobody_waits(client: &Client) {
    timeout(Duration::from_secs(10), async {
        while waiting(client).await != "0" {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the statement still waits on the server");
}

/// Holds the table of sessions for longer than any of these tests takes.
async fn lock(client: &Client) -> tokio::task::JoinHandle<Result<String, String>> {
    let url = url_of(client.target.address.database());
    let held = tokio::spawn(async move {
        psql(
            &url,
            "BEGIN; LOCK TABLE stoa.chat_sessions; SELECT pg_sleep(60)",
        )
        .await
    });
    sleep(Duration::from_millis(500)).await;
    held
}

async fn stuck(connection: &PooledConnection, session: SessionId) {
    let stuck = sessions::find(connection, session).await;
    assert!(matches!(stuck, Err(ClientDbError::Timeout(_))), "{stuck:?}");
}

#[tokio::test]
async fn past_the_deadline_or_without_a_caller() {
    let client = Client::with(hasty()).await;
    let (session, _) = client.session().await;
    let address = &client.target.address;
    let proxy = Proxy::start(&format!("{}:{}", address.host(), address.port()))
        .await
        .unwrap();
    let through = DatabaseAddress::parse(&proxy.url(&client.given_url()), &rules()).unwrap();
    let through = Client::at(client.target.instance, through, hasty());
    let connection = through.connection().await;
    let held = lock(&client).await;
    stuck(&connection, session).await;
    drop(connection);
    until_nobody_waits(&client).await;
    assert_eq!(proxy.cancels(), 1);
    // The caller goes while the statement is under way.
    let connection = through.connection().await;
    timeout(
        Duration::from_millis(300),
        sessions::find(&connection, session),
    )
    .await
    .unwrap_err();
    drop(connection);
    until_nobody_waits(&client).await;
    assert_eq!(proxy.cancels(), 2);
    assert_eq!(through.databases.open_connections(), 0);
    held.abort();
}

#[tokio::test]
async fn over_tls_where_the_connection_had_it() {
    let client = Client::with(hasty()).await;
    let (session, _) = client.session().await;
    let address = &client.target.address;
    let real = format!("{}:{}", address.host(), address.port());
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "IP:127.0.0.1");
    let authority = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    // Whatever does not ask for TLS at first gets nowhere here.
    let port = tls_in_front(folder.path(), real.clone()).await;
    let url = client
        .given_url()
        .replace(&real, &format!("127.0.0.1:{port}"));
    let strict = DatabaseAddress::parse(&format!("{url}?sslmode=verify-full"), &rules()).unwrap();
    let strict =
        strict.with_certificate_authority(CertificateAuthority::parse(&authority).unwrap());
    let through = Client::at(client.target.instance, strict, hasty());
    let connection = through.connection().await;
    assert!(connection.is_encrypted());
    let held = lock(&client).await;
    stuck(&connection, session).await;
    drop(connection);
    until_nobody_waits(&client).await;
    held.abort();
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_does_not_take_the_request() {
    let instance = new_id();
    let silent = || Answer::acting([Act::FallSilent]);
    let hostile = Hostile::of(instance, marked(instance).otherwise(silent())).await;
    let connection = hostile.client.connection().await;
    hostile.server.set(Script::silent());
    let began = tokio::time::Instant::now();
    stuck(&connection, new!(SessionId)).await;
    drop(connection);
    assert!(began.elapsed() < Duration::from_millis(1_500));
    assert_eq!(hostile.client.databases.open_connections(), 0);
    // It was asked all the same.
    timeout(Duration::from_secs(5), async {
        while hostile.server.connections() < 2 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}
