//! What the tests share: directories, statements, processes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use secrecy::{ExposeSecret, SecretString};
use stoa_domain::Random;
use stoa_embedded_postgres::{Durability, EmbeddedError, EmbeddedPostgres, Settings};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A directory that the server's user can reach.
pub(crate) fn reachable_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

/// Every PostgreSQL of this machine: the fetched one and the system's.
pub(crate) fn every_postgresql() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found: Vec<PathBuf> = std::env::var_os("STOA_POSTGRES_DIR")
        .map(PathBuf::from)
        .into_iter()
        .chain([root.join(".cache/postgres")])
        .chain(
            fs::read_dir("/usr/lib/postgresql")
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path()),
        )
        .filter_map(|dir| fs::canonicalize(dir.join("bin/postgres")).ok())
        .map(|postgres| postgres.ancestors().nth(2).unwrap().to_path_buf())
        .collect();
    found.sort();
    found.dedup();
    assert!(
        !found.is_empty(),
        "no PostgreSQL to test with: run scripts/fetch-postgres, or install PostgreSQL"
    );
    found
}

pub(crate) fn settings(dir: &Path) -> Settings {
    let mut settings = Settings::new(dir);
    settings.binaries = Some(every_postgresql().remove(0));
    settings.durability = Durability::Throwaway;
    settings
}

pub(crate) async fn start(dir: &Path) -> Result<EmbeddedPostgres, EmbeddedError> {
    EmbeddedPostgres::start(settings(dir), &Random::system()).await
}

/// Runs statements as the superuser; the rows' first columns.
pub(crate) async fn sql(url: &SecretString, statements: &str) -> Vec<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server under test, on loopback"
    )]
    let (client, connection) = tokio_postgres::connect(url.expose_secret(), NoTls)
        .await
        .unwrap();
    let answer = async {
        let messages = client.simple_query(statements).await.unwrap();
        drop(client);
        messages
    };
    let (messages, _) = tokio::join!(answer, connection);
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
        .collect()
}

/// Runs as whoever owns `path`.
pub(crate) fn as_owner_of(path: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let owner = fs::metadata(path).unwrap();
    let mut command = Command::new(program);
    command.current_dir("/");
    if is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command
}

pub(crate) fn is_running(pid: u32) -> bool {
    // A process that ended and was not waited for yet has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// The number at the start of PostgreSQL's own pid file.
pub(crate) fn server_pid(data_dir: &Path) -> u32 {
    let content = fs::read_to_string(data_dir.join("cluster/postmaster.pid")).unwrap();
    content.lines().next().unwrap().parse().unwrap()
}
