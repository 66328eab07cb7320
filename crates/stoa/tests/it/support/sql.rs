//! A look behind the contract, into databases themselves.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Runs statements.
pub async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .expect("it runs");
    connection.close().await.expect("closed");
}

/// The text that a statement gives.
pub async fn value(url: &str, sql: &str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(&mut connection)
        .await
        .expect("a text")
}
