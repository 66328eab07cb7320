//! Why the embedded PostgreSQL does not run, in sentences that say what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why the embedded PostgreSQL could not be started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No usable PostgreSQL is on this machine.
    #[error(
        "found no PostgreSQL 14 or newer to run{}; run scripts/fetch-postgres, install PostgreSQL, or set STOA_POSTGRES_DIR to a directory with bin/postgres",
        tried_sentence(tried)
    )]
    NoBinaries {
        /// What was found and why it did not serve, a sentence each.
        tried: Vec<String>,
    },
    /// The directory that the caller named holds no usable PostgreSQL.
    #[error("STOA_POSTGRES_DIR is no usable PostgreSQL: {reason}")]
    BadBinaries {
        /// What is wrong with it.
        reason: String,
    },
    /// The cluster was made by a PostgreSQL of another major version.
    #[error(
        "the database cluster in {cluster} was made by PostgreSQL {cluster_major}, but the PostgreSQL found in {bin} is version {binaries_major}: set STOA_POSTGRES_DIR to a PostgreSQL {cluster_major}, or upgrade the cluster with pg_upgrade, or move {data_dir} away to start with an empty one",
        cluster = cluster.display(), bin = bin.display(), data_dir = data_dir.display()
    )]
    OtherMajorVersion {
        /// Where the cluster is.
        cluster: PathBuf,
        /// The version that made it.
        cluster_major: u32,
        /// The programs that were to run it.
        bin: PathBuf,
        /// Their version.
        binaries_major: u32,
        /// The whole data directory.
        data_dir: PathBuf,
    },
    /// Another process runs this data directory.
    #[error(
        "{data_dir} is in use by another Stoa{}: stop that one, or give this one another STOA_DATA_DIR",
        process_sentence(*pid), data_dir = data_dir.display()
    )]
    InUse {
        /// The directory.
        data_dir: PathBuf,
        /// The process that holds it, when it said so.
        pid: Option<u32>,
    },
    /// A server that we did not start runs on our cluster.
    #[error(
        "a PostgreSQL that Stoa did not start (process {pid}) runs on {cluster}: stop it with `pg_ctl stop -D {cluster}`",
        cluster = cluster.display()
    )]
    ForeignServer {
        /// Where the cluster is.
        cluster: PathBuf,
        /// The server.
        pid: u32,
    },
    /// A server left over from an earlier run does not end.
    #[error(
        "the PostgreSQL left from an earlier run (process {pid}) does not stop; end it with `kill -QUIT {pid}`"
    )]
    OrphanStays {
        /// The server.
        pid: u32,
    },
    /// The port is taken.
    #[error("port {port} on 127.0.0.1 is taken by another program: {remedy}")]
    PortTaken {
        /// The port.
        port: u16,
        /// What can be done.
        remedy: String,
    },
    /// Root has no other user to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as: create one, or start Stoa as an ordinary user"
    )]
    NoAccount,
    /// The server's user cannot reach the data directory, which already has something in it.
    #[error(
        "{data_dir} is not empty and lies where the user `{account}`, as whom PostgreSQL runs, cannot reach it: make the directories above it searchable (chmod o+x), or choose another STOA_DATA_DIR",
        data_dir = data_dir.display()
    )]
    Unreachable {
        /// The directory.
        data_dir: PathBuf,
        /// Whom the server runs as.
        account: String,
    },
    /// The cluster belongs to somebody else.
    #[error(
        "{cluster} belongs to the user with the id {owner}: start Stoa as that user or as root, or choose another STOA_DATA_DIR",
        cluster = cluster.display()
    )]
    OtherOwner {
        /// Where the cluster is.
        cluster: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Something that belongs to the data directory is missing or wrong.
    #[error("{path} {problem}", path = path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// `initdb` failed.
    #[error("initdb failed:\n{output}")]
    InitDb {
        /// The last lines it printed.
        output: String,
    },
    /// The server ended or did not accept connections in time.
    #[error("PostgreSQL {what}; the last lines of {log}:\n{tail}", log = log.display())]
    NotReady {
        /// What it did.
        what: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server refused our own connection.
    #[error("the embedded PostgreSQL refuses the superuser: is {password_file} the one of this cluster?", password_file = password_file.display())]
    Refused {
        /// Where the password was read from.
        password_file: PathBuf,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A database could not be made.
    #[error("the embedded PostgreSQL did not make the database `{name}`")]
    Database {
        /// Its name.
        name: String,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server does not end.
    #[error("PostgreSQL (process {pid}) did not stop in time")]
    DoesNotStop {
        /// The server.
        pid: u32,
    },
    /// A file or a process could not be had.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// A verb: "read", "make".
        action: &'static str,
        /// What with.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl EmbeddedError {
    /// For `map_err`: says what was being done to which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}

fn tried_sentence(tried: &[String]) -> String {
    if tried.is_empty() {
        String::new()
    } else {
        format!(" ({})", tried.join("; "))
    }
}

fn process_sentence(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
