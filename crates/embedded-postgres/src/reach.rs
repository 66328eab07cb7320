//! Reaching the server: its addresses, also for a second process, and databases made on it.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::cluster::{self, SUPERUSER};
use crate::data_dir::{PASSWORD_FILE, PORT_FILE};
use crate::{EmbeddedError, EmbeddedPostgres, port};

impl EmbeddedPostgres {
    /// Makes a database unless it is there. Only its owner, the superuser, may connect to it.
    ///
    /// # Errors
    /// [`EmbeddedError::Database`] when the server refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<(), EmbeddedError> {
        let failed = |source| EmbeddedError::Database {
            name: name.to_owned(),
            source,
        };
        self.make_database(name).await.map_err(failed)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "our own server on loopback, at a port that no client chose"
    )]
    async fn make_database(&self, name: &str) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port())
            .user(SUPERUSER)
            .password(self.password().expose_secret())
            .dbname("postgres")
            .connect(NoTls)
            .await?;
        let name = quoted(name);
        tokio::select! {
            ended = connection => ended,
            made = make_closed(&client, &name) => made,
        }
    }
}

/// The address of a database on the server that another process runs in this data directory; for
/// a command beside a running server. Nothing is said of whether it runs.
///
/// # Errors
/// When the directory holds no port or no password that can be read.
pub fn superuser_url_of_running(
    data_dir: &Path,
    database: &str,
) -> Result<SecretString, EmbeddedError> {
    let port_file = data_dir.join(PORT_FILE);
    let port = port::kept(&port_file)?.ok_or(EmbeddedError::Damaged {
        path: port_file,
        problem: "is missing, although a server uses the directory; wait until it has started",
    })?;
    let password = cluster::read_password(&data_dir.join(PASSWORD_FILE))?;
    Ok(superuser_url(port, &password, database))
}

/// Over TCP on loopback, without TLS, which the server does not speak.
pub(crate) fn superuser_url(port: u16, password: &SecretString, database: &str) -> SecretString {
    SecretString::from(format!(
        "postgres://{SUPERUSER}:{}@127.0.0.1:{port}/{}?sslmode=disable",
        password.expose_secret(),
        utf8_percent_encode(database, NON_ALPHANUMERIC),
    ))
}

async fn make_closed(client: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
    let made = client
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await;
    match made {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => {}
        made => made?,
    }
    client
        .batch_execute(&format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"))
        .await
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use stoa_domain::Random;

    use super::*;
    use crate::{Durability, Settings};

    #[tokio::test]
    async fn a_database_is_made_once_and_found_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(dir.path().join("postgres"));
        settings.durability = Durability::Throwaway;
        settings.binaries = std::env::var_os("STOA_POSTGRES_DIR").map(Into::into);
        let data_dir = settings.data_dir.clone();
        assert!(superuser_url_of_running(&data_dir, "platform").is_err());

        let random = Random::system();
        let postgres = EmbeddedPostgres::start(settings, &random).await.unwrap();
        for _ in 0..2 {
            postgres.ensure_database("plat \"form").await.unwrap();
        }
        let ours = postgres.superuser_url("plat \"form");
        let theirs = superuser_url_of_running(&data_dir, "plat \"form").unwrap();
        assert_eq!(ours.expose_secret(), theirs.expose_secret());
        postgres.stop().await.unwrap();
        let real = std::fs::canonicalize(&data_dir).unwrap();
        std::fs::remove_dir_all(real).unwrap();
    }
}
