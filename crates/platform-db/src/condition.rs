//! How the platform database is: for people who look after it.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query_as, query_scalar};

use crate::db::migrator;
use crate::{DbError, PlatformDb};

/// What can be seen of the platform database without changing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The server's version as it says it, such as `18.1`.
    pub server_version: String,
    /// The server's clock.
    pub now: DateTime<Utc>,
    /// Migrations of this version that are not applied yet.
    pub pending_migrations: usize,
    /// Applied migrations that this version does not know: a newer one was here.
    pub unknown_migrations: usize,
}

impl Condition {
    /// Whether the schema is the one that this version works with.
    #[must_use]
    pub const fn is_migrated(&self) -> bool {
        self.pending_migrations == 0 && self.unknown_migrations == 0
    }
}

impl PlatformDb {
    /// Whether no migration was ever applied: then there is no table to ask.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_empty(&self) -> Result<bool, DbError> {
        let mut connection = self.acquire().await?;
        Ok(applied_migrations(&mut connection).await?.is_empty())
    }

    /// Looks at the database.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn condition(&self) -> Result<Condition, DbError> {
        let mut connection = self.acquire().await?;
        let applied = applied_migrations(&mut connection).await?;
        // The clock last: whoever compares it wants the time of the answer.
        let (server_version, now): (String, DateTime<Utc>) = query_as(
            "SELECT pg_catalog.current_setting('server_version'), pg_catalog.clock_timestamp()",
        )
        .fetch_one(&mut *connection)
        .await?;
        let ours: Vec<i64> = migrator()
            .iter()
            .map(|migration| migration.version)
            .collect();
        Ok(Condition {
            server_version,
            now,
            pending_migrations: missing(&ours, &applied),
            unknown_migrations: missing(&applied, &ours),
        })
    }
}

async fn applied_migrations(connection: &mut PgConnection) -> Result<Vec<i64>, DbError> {
    let there: bool = query_scalar(
        "SELECT pg_catalog.to_regclass('stoa_platform.schema_migrations') IS NOT NULL",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !there {
        return Ok(Vec::new());
    }
    Ok(
        query_scalar("SELECT version FROM stoa_platform.schema_migrations WHERE success")
            .fetch_all(connection)
            .await?,
    )
}

fn missing(of: &[i64], from: &[i64]) -> usize {
    of.iter().filter(|version| !from.contains(version)).count()
}
