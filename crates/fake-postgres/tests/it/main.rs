//! The fakes as an ordinary client meets them, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its client is not the product's"
)]

mod proxy;
mod scripted;

use tokio_postgres::{Client, Error, NoTls};

/// Connects as an ordinary client does.
async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
