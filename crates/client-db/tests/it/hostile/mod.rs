//! Servers that mean harm: an error within the deadline, little memory, and nothing for the others.

mod answers;
mod cancelled;
mod neighbours;
mod sign_in;

use std::time::Duration;

use stoa_client_db::{ClientDbError, DatabaseAddress, SCHEMA_VERSION, sessions};
use stoa_domain::InstanceId;
use stoa_fake_postgres::{Answer, Cell, Column, FakePostgres, Script};
use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::support::{Client, hasty, new, new_id, rules};

/// What may be grown by while a server does its worst.
const MOST_MEMORY: u64 = 64 << 20;

/// A hostile server, and a client's pool that leads to it.
struct Hostile {
    server: FakePostgres,
    client: Client,
}

impl Hostile {
    async fn new(script: Script) -> Self {
        Self::of(new_id(), script).await
    }

    async fn of(instance: InstanceId, script: Script) -> Self {
        let server = FakePostgres::start(script).await.unwrap();
        let client = Client::at(instance, address_of(&server, "?sslmode=disable"), hasty());
        Self { server, client }
    }

    /// The error that its first use ends with, in time and without much memory.
    async fn error(&self) -> ClientDbError {
        measured(async {
            let client = &self.client;
            let connection = client.databases.checkout(&client.target).await?;
            let session = new!(SessionId);
            sessions::find(&connection, session).await.map(|_| ())
        })
        .await
        .expect_err("it must fail")
    }
}

fn address_of(server: &FakePostgres, mode: &str) -> DatabaseAddress {
    let url = server.url("u", "a-secret", "d");
    let url = url.replace("?sslmode=disable", mode);
    DatabaseAddress::parse(&url, &rules()).unwrap()
}

/// What `work` comes to, when it is done in time and without much memory, and tells no secrets.
async fn measured<T>(
    work: impl Future<Output = Result<T, ClientDbError>>,
) -> Result<T, ClientDbError> {
    forget_peak();
    let (before, began) = (memory("VmRSS:"), Instant::now());
    let outcome = work.await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2_500), "took {took:?}");
    let grown = memory("VmHWM:").saturating_sub(before);
    assert!(grown < MOST_MEMORY, "grew by {} MB", grown >> 20);
    if let Err(error) = &outcome {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("a-secret"), "{shown}");
        assert!(shown.len() < 2_000, "{} bytes of words", shown.len());
    }
    outcome
}

/// This process's memory in bytes: now (`VmRSS:`) or at its peak (`VmHWM:`).
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix(what)).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

/// The peak is counted from now on.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// A database that is up to date and `instance`'s, as far as it says.
fn marked(instance: InstanceId) -> Script {
    let columns = [
        Column::new("instance_id", &Type::UUID),
        Column::new("schema_version", &Type::INT4),
        Column::new("has_vectors", &Type::BOOL),
        Column::new("vectors_wait", &Type::BOOL),
        Column::new("process", &Type::INT4),
    ];
    let marker = Answer::rows(columns).row([
        Cell::raw(*instance.as_uuid().as_bytes()),
        Cell::int4(SCHEMA_VERSION),
        Cell::bool(false),
        Cell::bool(false),
        Cell::int4(1),
    ]);
    Script::new().answer("FROM stoa.stoa_instance m", marker)
}
