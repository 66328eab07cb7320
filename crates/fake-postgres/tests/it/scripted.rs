//! The scripted server.

use std::time::Duration;

use stoa_fake_postgres::{Act, Answer, Cell, Column, FakePostgres, Script, SignIn, Tls};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_postgres::types::Type;

use crate::connect;

#[tokio::test]
async fn it_lets_in_who_knows_the_password_and_nobody_else() {
    let script = Script::new().sign_in(SignIn::scram("a-secret"));
    let server = FakePostgres::start(script).await.unwrap();
    let client = connect(&server.url("u", "a-secret", "d")).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    let refused = connect(&server.url("u", "another", "d")).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "28P01");
    assert_eq!(server.connections(), 2);
    let heard = server.heard();
    assert!(!heard.windows(8).any(|it| it == b"a-secret"));
}

#[tokio::test]
async fn it_answers_statements_prepared_or_not() {
    let orders = Answer::rows([
        Column::new("id", &Type::INT4),
        Column::new("name", &Type::TEXT),
    ])
    .row([Cell::int4(7), Cell::text("seven")])
    .row([Cell::int4(8), Cell::NULL]);
    let script = Script::new()
        .answer("FROM orders", orders)
        .answer("UPDATE", Answer::nothing().tag("UPDATE 3"))
        .answer(
            "FROM nowhere",
            Answer::error("42P01", "there is no such table"),
        )
        .answer("slow", Answer::error("57014", "canceling statement"));
    let server = FakePostgres::start(script).await.unwrap();
    let client = connect(&server.url("u", "p", "d")).await.unwrap();
    let sql = "SELECT id, name FROM orders WHERE id > $1";
    let typed = client.query_typed(sql, &[(&1_i32, Type::INT4)]).await;
    let prepared = client.prepare_typed(sql, &[Type::INT4]).await.unwrap();
    for rows in [typed, client.query(&prepared, &[&1_i32]).await] {
        let rows = rows.unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].get::<_, i32>("id"), 7);
        assert_eq!(rows[1].get::<_, Option<String>>("name"), None);
    }
    assert_eq!(client.execute("UPDATE orders", &[]).await.unwrap(), 3);
    for (sql, code) in [("SELECT FROM nowhere", "42P01"), ("SELECT slow", "57014")] {
        let failed = client.query_typed(sql, &[]).await.unwrap_err();
        assert_eq!(failed.code().unwrap().code(), code);
    }
    client.batch_execute("BEGIN; COMMIT").await.unwrap();
    assert!(server.statements().contains(&sql.to_owned()));
}

#[tokio::test]
async fn it_does_harm_at_the_chosen_byte() {
    let whole = FakePostgres::start(Script::new()).await.unwrap();
    connect(&whole.url("u", "p", "d")).await.unwrap();
    let bytes = whole.said();
    let short = Script::new().reset_after(usize::try_from(bytes).unwrap() - 1);
    let server = FakePostgres::start(short).await.unwrap();
    connect(&server.url("u", "p", "d")).await.unwrap_err();
    assert_eq!(server.said(), bytes - 1);

    // A fresh script counts for who comes from now on.
    server.set(Script::new().reset_in_answers(3));
    let client = connect(&server.url("u", "p", "d")).await.unwrap();
    assert!(client.query_typed("SELECT 1", &[]).await.is_err());

    server.set(Script::new().otherwise(Answer::acting(Act::endless_notices())));
    let client = connect(&server.url("u", "p", "d")).await.unwrap();
    let endless = client.query_typed("SELECT 1", &[]);
    timeout(Duration::from_millis(200), endless)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn it_drips_delays_and_says_anything() {
    let script = Script::new().drip(Duration::from_millis(50));
    let server = FakePostgres::start(script).await.unwrap();
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // The request for TLS, which is refused in one byte.
    let request = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&request).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'N');
    assert!(began.elapsed() >= Duration::from_millis(50));

    server.set(Script::new().tls(Tls::Pretend(vec![Act::Say(b"garbage".to_vec())])));
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"Sgarbage");

    server.set(Script::new().delay(Duration::from_millis(100)));
    let client = connect(&server.url("u", "p", "d")).await.unwrap();
    let began = Instant::now();
    client.query_typed("SELECT 1", &[]).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(100));
    client
        .cancel_token()
        .cancel_query(tokio_postgres::NoTls)
        .await
        .unwrap();
    timeout(Duration::from_secs(5), async {
        while server.cancels() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the request to cancel arrives");
}
