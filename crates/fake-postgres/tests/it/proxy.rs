//! The proxy in front of a real PostgreSQL.

use std::{io::ErrorKind, time::Duration};

use stoa_fake_postgres::{Answer, Behaviour, Proxy, Script};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{Client, NoTls};

use crate::connect;

fn real_url() -> String {
    std::env::var("STOA_TEST_DATABASE_URL").expect(
        "these tests need a PostgreSQL: run them by `make test`, or by \
         `scripts/with-postgres cargo nextest run -p stoa-fake-postgres`",
    )
}

/// A proxy and the address of the database that leads through it.
async fn proxy() -> (Proxy, String) {
    let url = real_url();
    let config: tokio_postgres::Config = url.parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let proxy = Proxy::start(&format!("127.0.0.1:{port}")).await.unwrap();
    let url = proxy.url(&url);
    (proxy, url)
}

async fn one(client: &Client) -> Result<i32, tokio_postgres::Error> {
    let rows = client.query_typed("SELECT 1", &[]).await?;
    Ok(rows[0].get(0))
}

#[tokio::test]
async fn well_slow_and_well_again() {
    let (proxy, url) = proxy().await;
    let client = connect(&url).await.unwrap();
    assert_eq!(one(&client).await.unwrap(), 1);
    assert_eq!(proxy.statements(), 1);

    proxy.set(Behaviour::Slow(Duration::from_millis(500))).await;
    let began = Instant::now();
    assert_eq!(one(&client).await.unwrap(), 1);
    let (once, began) = (began.elapsed(), Instant::now());
    let second = connect(&url).await.unwrap();
    assert_eq!(one(&second).await.unwrap(), 1);
    // Each statement as a whole, and not its parts or the sign-in.
    for time in [once, began.elapsed()] {
        assert!(time >= Duration::from_millis(500), "{time:?}");
        assert!(time < Duration::from_millis(1_400), "{time:?}");
    }
    proxy.set(Behaviour::Well).await;
    let began = Instant::now();
    one(&client).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn dead_and_back_on_the_same_port() {
    let (proxy, url) = proxy().await;
    let client = connect(&url).await.unwrap();
    one(&client).await.unwrap();
    for _ in 0..3 {
        proxy.set(Behaviour::Dead).await;
        let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.set(Behaviour::Well).await;
        one(&connect(&url).await.unwrap()).await.unwrap();
    }
    assert!(one(&client).await.is_err(), "what was open is gone");

    let client = connect(&url).await.unwrap();
    proxy.cut().await;
    assert!(one(&client).await.is_err());
    one(&connect(&url).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn silent_then_all_that_was_held_back() {
    let (proxy, url) = proxy().await;
    let client = connect(&url).await.unwrap();
    proxy.set(Behaviour::Silent).await;
    let waiting = one(&client);
    tokio::pin!(waiting);
    timeout(Duration::from_millis(200), &mut waiting)
        .await
        .unwrap_err();
    timeout(Duration::from_millis(200), connect(&url))
        .await
        .map(|_| ())
        .unwrap_err();
    proxy.set(Behaviour::Well).await;
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn hostile_and_well_again() {
    let (proxy, url) = proxy().await;
    let client = connect(&url).await.unwrap();
    let script = Script::new().otherwise(Answer::error("XX000", "no"));
    proxy.set(Behaviour::Hostile(Box::new(script))).await;
    assert!(one(&client).await.is_err(), "what was open is gone");
    let client = connect(&url).await.unwrap();
    let failed = one(&client).await.unwrap_err();
    assert_eq!(failed.code().unwrap().code(), "XX000");
    proxy.set(Behaviour::Well).await;
    assert!(
        one(&client).await.is_err(),
        "the real server does not know it"
    );
    one(&connect(&url).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn reset_at_a_byte_dripped_and_cancelled() {
    let (proxy, url) = proxy().await;
    proxy.set(Behaviour::ResetAfter(30)).await;
    connect(&url).await.unwrap_err();
    proxy.set(Behaviour::Well).await;
    let client = connect(&url).await.unwrap();
    proxy.set(Behaviour::Drip(Duration::from_millis(2))).await;
    let began = Instant::now();
    one(&client).await.unwrap();
    assert!(
        began.elapsed() > Duration::from_millis(100),
        "some seventy bytes"
    );
    proxy.set(Behaviour::Well).await;

    let sleeping = client.query_typed("SELECT 1 FROM pg_sleep(30)", &[]);
    let (slept, ()) = tokio::join!(sleeping, async {
        sleep(Duration::from_millis(100)).await;
        client.cancel_token().cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014");
    assert_eq!(proxy.cancels(), 1);
}
