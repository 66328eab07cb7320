//! What the caller decides about the embedded server.

use std::path::PathBuf;
use std::time::Duration;

/// How to run the embedded PostgreSQL.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory that this server keeps everything in. Made when it is missing.
    ///
    /// As root its ancestors have to let other users pass (mode `711`); where they do not, the data
    /// goes under `/var/lib/stoa` and this path becomes a link to it.
    pub data_dir: PathBuf,
    /// A directory with `bin/postgres`; looked for when absent.
    pub binaries: Option<PathBuf>,
    /// The TCP port on 127.0.0.1; when absent the one kept in the data directory, or a free one.
    pub port: Option<u16>,
    /// Whether the data must survive a crash of the machine.
    pub durability: Durability,
    /// PostgreSQL's `max_connections`.
    pub max_connections: u16,
    /// How long the server may take until it accepts connections, recovery included.
    pub start_timeout: Duration,
}

/// Whether the data must survive a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Committed is on disk.
    Durable,
    /// For tests: nothing waits for the disk.
    Throwaway,
}

impl Settings {
    /// The defaults: found binaries, a kept port, durable, 600 connections, five minutes to start.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            binaries: None,
            port: None,
            durability: Durability::Durable,
            // What one server process may hold in all: 500 in the pools of managed clients, its own to
            // the platform's database, and room for commands and a person with psql beside it.
            max_connections: 600,
            start_timeout: Duration::from_secs(300),
        }
    }
}
