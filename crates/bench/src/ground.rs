//! What everything stands on: a directory, and a PostgreSQL that waits for the disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use stoa_domain::Random;
use stoa_embedded_postgres::{Durability, EmbeddedPostgres, Settings};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// Commits that the disk's speed is measured by.
const COMMITS: u32 = 100;

/// The directory and the databases of one run.
pub(crate) struct Ground {
    /// `stoa`.
    pub(crate) binary: PathBuf,
    postgres: EmbeddedPostgres,
    directory: TempDir,
}

impl Ground {
    pub(crate) async fn prepare(binary: PathBuf) -> Result<Self> {
        // Beside the binaries, because /tmp may be memory, where nothing waits for a disk.
        let beside = binary.parent().unwrap_or(Path::new("."));
        let directory = tempfile::Builder::new()
            .prefix("stoa-bench-")
            .tempdir_in(beside)?;
        let mut settings = Settings::new(directory.path().join("postgres"));
        settings.binaries = std::env::var_os("STOA_POSTGRES_DIR").map(Into::into);
        settings.durability = Durability::Durable;
        let postgres = EmbeddedPostgres::start(settings, &Random::system()).await?;
        Ok(Self {
            binary,
            postgres,
            directory,
        })
    }

    /// A place for what a process leaves.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// PostgreSQL's first process.
    pub(crate) fn postgres(&self) -> u32 {
        self.postgres.pid()
    }

    pub(crate) fn postgres_version(&self) -> u32 {
        self.postgres.major_version()
    }

    /// The address of a database, made unless it is there.
    pub(crate) async fn database(&self, name: &str) -> Result<SecretString> {
        self.postgres.ensure_database(name).await?;
        Ok(self.postgres.superuser_url(name))
    }

    /// The address of the cluster that client databases are made on.
    pub(crate) fn cluster(&self) -> SecretString {
        self.postgres.superuser_url("postgres")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "our own server on loopback, at a port that no client chose"
    )]
    pub(crate) async fn connect(&self, database: &str) -> Result<tokio_postgres::Client> {
        let url = self.postgres.superuser_url(database);
        let connected = tokio_postgres::connect(url.expose_secret(), NoTls).await;
        let (client, connection) = connected?;
        // It ends with the client.
        tokio::spawn(connection);
        Ok(client)
    }

    /// How long one commit takes that waits for the disk.
    pub(crate) async fn commit(&self) -> Result<Duration> {
        let client = self.connect("postgres").await?;
        let table = "CREATE TABLE IF NOT EXISTS public.commits (number int4 NOT NULL)";
        client.batch_execute(table).await?;
        let insert = "INSERT INTO public.commits VALUES (1)";
        let insert = client.prepare(insert).await?;
        let started = Instant::now();
        for _ in 0..COMMITS {
            client.execute(&insert, &[]).await?;
        }
        let taken = started.elapsed() / COMMITS;
        client.batch_execute("DROP TABLE public.commits").await?;
        Ok(taken)
    }

    /// Stops PostgreSQL and removes everything.
    pub(crate) async fn clear(self) -> Result<()> {
        let real = std::fs::canonicalize(self.postgres.data_dir())?;
        self.postgres.stop().await?;
        // Started as root, it may lie elsewhere.
        std::fs::remove_dir_all(&real).with_context(|| real.display().to_string())?;
        let link = self.directory.path().join("postgres");
        if link.is_symlink() {
            std::fs::remove_file(link)?;
        }
        Ok(self.directory.close()?)
    }
}
