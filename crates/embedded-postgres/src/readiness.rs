//! Waiting until the server accepts connections.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::EmbeddedError;
use crate::cluster::{SUPERUSER, last_lines};
use crate::server::Server;

const POLL: Duration = Duration::from_millis(20);
const ONE_ATTEMPT: Duration = Duration::from_secs(5);
const REMIND: Duration = Duration::from_secs(5);

/// What is run to see that the server answers. Every role may enter these two databases by default;
/// the roles of managed databases have no business there.
const CLOSE_MAINTENANCE: &str = "REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC";

/// What a start is waited for with.
pub(crate) struct Waiting<'a> {
    pub(crate) server: &'a Server,
    pub(crate) port: u16,
    pub(crate) password: &'a SecretString,
    pub(crate) password_file: &'a Path,
    pub(crate) log: &'a Path,
    /// Where in the log this start begins.
    pub(crate) log_start: u64,
    pub(crate) patience: Duration,
}

impl Waiting<'_> {
    /// Returns when the superuser can run a statement.
    pub(crate) async fn until_ready(&self) -> Result<(), EmbeddedError> {
        let begin = Instant::now();
        let mut reminded = begin;
        loop {
            if let Some(status) = self.server.exit_status() {
                return Err(self.not_ready(format!("ended while starting ({status})")));
            }
            match timeout(ONE_ATTEMPT, self.attempt()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if is_final(&error) => {
                    return Err(EmbeddedError::Refused {
                        password_file: self.password_file.to_path_buf(),
                        source: error,
                    });
                }
                _ => {}
            }
            if begin.elapsed() > self.patience {
                let seconds = self.patience.as_secs();
                return Err(
                    self.not_ready(format!("did not accept connections within {seconds} s"))
                );
            }
            if reminded.elapsed() > REMIND {
                reminded = Instant::now();
                let seconds = begin.elapsed().as_secs();
                tracing::info!(
                    seconds,
                    "PostgreSQL is still starting (recovering, perhaps)"
                );
            }
            sleep(POLL).await;
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "our own server on loopback, at a port that no client chose"
    )]
    async fn attempt(&self) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user(SUPERUSER)
            .password(self.password.expose_secret())
            .dbname("postgres")
            .connect(NoTls)
            .await?;
        tokio::select! {
            ended = connection => ended,
            answer = client.simple_query(CLOSE_MAINTENANCE) => answer.map(drop),
        }
    }

    fn not_ready(&self, what: String) -> EmbeddedError {
        EmbeddedError::NotReady {
            what,
            log: self.log.to_path_buf(),
            tail: tail(self.log, self.log_start),
        }
    }
}

/// Whether trying again is of no use: the server speaks, and means us.
fn is_final(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INVALID_CATALOG_NAME,
        ]
        .contains(code)
    })
}

fn tail(log: &Path, start: u64) -> String {
    let read = || {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut content = Vec::new();
        file.take(1 << 20).read_to_end(&mut content)?;
        Ok::<_, std::io::Error>(content)
    };
    read().map_or_else(
        |error| format!("(unreadable: {error})"),
        |content| last_lines(&content, 15),
    )
}
