//! Connecting to the platform database and bringing its schema up to date.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{Migration, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool, SqlSafeStr as _, query_scalar,
};

use crate::signals::Signals;
use crate::{DbError, Transaction};

/// A request waits this long for a free connection and is then told that the database is busy.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(5);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const IDLE_CLOSE: Duration = Duration::from_secs(300);
/// Whether a connection still answers is asked before it is lent, which is a round trip of its own; not
/// where it has answered so lately.
const ANSWERED_LATELY: Duration = Duration::from_secs(1);

/// What each pooled connection is told first. PostgreSQL itself ends what takes too long, since a
/// client-side deadline alone would leave the statement running.
const SESSION_SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '60s'";

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// What the first migration begins with. It asks for a right on the database even where the schema
/// is there, so it is left out of what runs; an applied migration is known by its checksum, which
/// is that of the whole file.
const MAKES_SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS stoa_platform;";

/// The migrator with its own table inside our schema: sqlx would put it in `public`, which other
/// programs may share. The schema is to be there.
pub(crate) fn migrator() -> Migrator {
    let without_schema = |migration: &Migration| Migration {
        sql: AssertSqlSafe(migration.sql.as_str().replace(MAKES_SCHEMA, "")).into_sql_str(),
        ..migration.clone()
    };
    let mut migrator = Migrator {
        migrations: MIGRATIONS.iter().map(without_schema).collect(),
        ..Migrator::DEFAULT
    };
    migrator.dangerous_set_table_name("stoa_platform.schema_migrations");
    migrator
}

/// Makes the schema unless it is there: a role of least privilege has the schema and no right to
/// make one.
async fn ensure_schema(connection: &mut PgConnection) -> Result<(), DbError> {
    let is_there = query_scalar!(
        r#"SELECT pg_catalog.to_regnamespace('stoa_platform') IS NOT NULL AS "is_there!""#
    )
    .fetch_one(&mut *connection)
    .await?;
    if !is_there {
        // Another replica may be doing the same; the lock of migrations is taken later.
        let make = "DO $$ BEGIN CREATE SCHEMA stoa_platform; \
             EXCEPTION WHEN duplicate_schema OR unique_violation THEN NULL; END $$";
        connection.execute(make).await?;
    }
    Ok(())
}

/// The platform database: a small pool, cheap to clone.
#[derive(Clone)]
pub struct PlatformDb {
    pool: PgPool,
    // Its `Debug` shows the password, hence none is derived here.
    options: PgConnectOptions,
}

impl fmt::Debug for PlatformDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformDb(…)")
    }
}

impl PlatformDb {
    /// Connects to the platform database with up to `max_connections`, and tries one at once.
    ///
    /// The address must not lead through a pooler in transaction mode: signals need `LISTEN`.
    ///
    /// # Errors
    /// When the address cannot be read, or the database does not answer or refuses.
    pub async fn connect(url: &SecretString, max_connections: u32) -> Result<Self, DbError> {
        Self::connect_verified(url, None, max_connections).await
    }

    /// The same where the server proves itself by these certificate authorities, in PEM form.
    ///
    /// # Errors
    /// As [`PlatformDb::connect`], and when it does not.
    pub async fn connect_verified(
        url: &SecretString,
        authority: Option<&str>,
        max_connections: u32,
    ) -> Result<Self, DbError> {
        let options = PgConnectOptions::from_str(url.expose_secret())
            .map_err(|_| DbError::BadAddress)?
            .application_name("stoa");
        let options = match authority {
            // Whoever gives an authority wants the server to prove itself by it.
            Some(pem) => options
                .ssl_mode(PgSslMode::VerifyFull)
                .ssl_root_cert_from_pem(pem.as_bytes().to_vec()),
            None => options,
        };
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_DEADLINE)
            .idle_timeout(IDLE_CLOSE)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(SESSION_SETTINGS).await?;
                    Ok(())
                })
            })
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for >= ANSWERED_LATELY {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options.clone());
        // Tried outside the pool first, which would hide a refusal behind its own time-out.
        let db = Self { pool, options };
        db.single_connection().await?.close().await?;
        Ok(db)
    }

    /// Brings the schema up to date. Several replicas may do this at once; one does the work.
    ///
    /// # Errors
    /// When a migration fails, or an applied one is not the one that this version carries.
    pub async fn migrate(&self) -> Result<(), DbError> {
        // A connection of its own: migrations may take longer than the pool's statements may.
        let mut connection = self.single_connection().await?;
        // `IF NOT EXISTS` gives notices at every start, which sqlx logs.
        connection
            .execute("SET client_min_messages = 'warning'; SET lock_timeout = '30s'")
            .await?;
        let migrated = match ensure_schema(&mut connection).await {
            Ok(()) => migrator()
                .run_direct(None, &mut connection, false)
                .await
                .map_err(DbError::Migration),
            Err(error) => Err(error),
        };
        // Closing also gives back the migration lock when a migration has failed.
        let closed = connection.close().await;
        migrated?;
        Ok(closed?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), DbError> {
        self.acquire().await?.ping().await?;
        Ok(())
    }

    /// A connection out of the pool; it goes back when dropped.
    ///
    /// # Errors
    /// When none is free or can be made within five seconds.
    pub async fn acquire(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, DbError> {
        Ok(self.pool.acquire().await?)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`PlatformDb::acquire`].
    pub async fn begin(&self) -> Result<Transaction, DbError> {
        Ok(self.pool.begin().await?)
    }

    /// Listens for signals, on a connection of its own outside the pool.
    ///
    /// # Errors
    /// When the database cannot be listened to now; later it reconnects by itself.
    pub async fn listen_signals(&self) -> Result<Signals, DbError> {
        Signals::listen(self.options.clone()).await
    }

    /// The pool's size and how many of it are idle, for metrics.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Waits until every connection is back and closed. Later queries fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn single_connection(&self) -> Result<PgConnection, DbError> {
        let connecting = PgConnection::connect_with(&self.options);
        tokio::time::timeout(CONNECT_DEADLINE, connecting)
            .await
            .map_err(|_| DbError::Unavailable(sqlx::Error::PoolTimedOut))?
            .map_err(DbError::from)
    }
}
