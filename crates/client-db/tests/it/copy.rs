//! `COPY` as a stream: all of it, in bounded memory, and an error where it breaks off.

use std::time::Duration;

use bytes::Bytes;
use stoa_client_db::{ClientDbError, PooledConnection};

use crate::support::{Client, hasty, psql, resident};

const TABLE: &str = "CREATE TABLE stoa.copied (id bigint PRIMARY KEY, words text NOT NULL)";

async fn count(client: &Client) -> String {
    let sql = "SELECT count(*), coalesce(sum(length(words)), 0) FROM stoa.copied";
    psql(&client.given_url(), sql).await.unwrap()
}

/// Copies from one database to the other, inside a transaction on both sides.
async fn copied(
    mut from: PooledConnection,
    mut to: PooledConnection,
    most_bytes: u64,
) -> Result<u64, ClientDbError> {
    let (from, to) = (from.begin().await?, to.begin().await?);
    let sql = "COPY (SELECT id, words FROM stoa.copied ORDER BY id) TO STDOUT";
    let mut rows = from.copy_out(sql, most_bytes).await?;
    let mut into = to
        .copy_in("COPY stoa.copied (id, words) FROM STDIN")
        .await?;
    while let Some(piece) = rows.next().await? {
        into.send(piece).await?;
    }
    let taken = into.finish().await?;
    drop(rows);
    to.commit().await?;
    from.commit().await?;
    Ok(taken)
}

#[tokio::test]
async fn everything_passes_in_little_memory() {
    let (from, to) = (Client::new().await, Client::new().await);
    for client in [&from, &to] {
        drop(client.connection().await);
        psql(&client.given_url(), TABLE).await.unwrap();
    }
    // 160 MB, and among them a row of 20 MB and words that text has to escape.
    let fill = "INSERT INTO stoa.copied SELECT i, repeat('words ', 6000) FROM generate_series(1, 4000) i;
                INSERT INTO stoa.copied VALUES (0, repeat('x', 20000000)), (-1, E'a\\tb\\nc\\\\d \\u00e4')";
    psql(&from.given_url(), fill).await.unwrap();
    let before = resident();
    let taken = copied(from.connection().await, to.connection().await, u64::MAX).await;
    assert_eq!(taken.unwrap(), 4002);
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < 110, "grew by {grown} MB");
    assert_eq!(count(&from).await, count(&to).await);
    let odd = "SELECT words = E'a\\tb\\nc\\\\d ä' FROM stoa.copied WHERE id = -1";
    assert_eq!(psql(&to.given_url(), odd).await.unwrap(), "t");
    // Both connections are as good as before.
    assert_eq!(from.databases.open_connections(), 1);
    assert_eq!(to.databases.open_connections(), 1);
}

#[tokio::test]
async fn what_is_too_much_breaks_off_and_leaves_nothing() {
    let (from, to) = (Client::new().await, Client::new().await);
    for client in [&from, &to] {
        drop(client.connection().await);
        psql(&client.given_url(), TABLE).await.unwrap();
    }
    let fill =
        "INSERT INTO stoa.copied SELECT i, repeat('words ', 100) FROM generate_series(1, 4000) i";
    psql(&from.given_url(), fill).await.unwrap();
    let failed = copied(from.connection().await, to.connection().await, 1_000_000).await;
    assert!(matches!(failed, Err(ClientDbError::TooMuch)), "{failed:?}");
    assert_eq!(count(&to).await, "0|0");
    // A connection in the middle of a copy is nobody's any more.
    assert_eq!(from.databases.open_connections(), 0);
    assert_eq!(to.databases.open_connections(), 0);
}

#[tokio::test]
async fn what_the_server_says_of_the_rows_is_told() {
    let client = Client::new().await;
    let mut connection = client.connection().await;
    psql(&client.given_url(), TABLE).await.unwrap();
    let transaction = connection.begin().await.unwrap();
    let mut into = transaction
        .copy_in("COPY stoa.copied (id, words) FROM STDIN")
        .await
        .unwrap();
    into.send(Bytes::from_static(b"1\tone\n1\tone again\n"))
        .await
        .unwrap();
    let failed = into.finish().await;
    assert!(
        matches!(failed, Err(ClientDbError::Conflict { .. })),
        "{failed:?}"
    );
    let undone = transaction.commit().await;
    assert!(matches!(undone, Err(ClientDbError::Undone)), "{undone:?}");

    let transaction = connection.begin().await.unwrap();
    let missing = transaction
        .copy_out("COPY stoa.nothing TO STDOUT", u64::MAX)
        .await;
    let missing = missing.err().expect("there is no such table");
    assert_eq!(missing.sqlstate(), Some("42P01"));
}

#[tokio::test]
async fn a_source_that_falls_silent_is_not_waited_for() {
    let client = Client::with(hasty()).await;
    let mut connection = client.connection().await;
    let url = client.given_url();
    psql(&url, TABLE).await.unwrap();
    // A lock keeps the first row from coming.
    let locked = "BEGIN; LOCK TABLE stoa.copied; SELECT pg_sleep(2); COMMIT";
    let holder = tokio::spawn(async move { psql(&url, locked).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let transaction = connection.begin().await.unwrap();
    let failed = transaction
        .copy_out("COPY stoa.copied TO STDOUT", u64::MAX)
        .await;
    assert!(matches!(failed.err(), Some(ClientDbError::Timeout(_))));
    drop(transaction);
    drop(connection);
    assert_eq!(client.databases.open_connections(), 0);
    holder.await.unwrap().unwrap();
}
