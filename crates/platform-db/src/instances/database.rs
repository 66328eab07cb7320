//! Where an instance's database is, what is known of it, and the key that seals its address.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_scalar};
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId};

use super::announce;
use crate::{DbError, stored};

/// What was seen of a client's database, to show; none of it opens anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DatabaseFacts {
    /// The host of its address.
    pub host: Option<String>,
    /// PostgreSQL's version.
    pub version: Option<String>,
    /// pgvector's version, `None` where it is missing.
    pub pgvector: Option<String>,
    /// The kind of pooler in front of it.
    pub pooler: Option<String>,
    /// The version of our schema in it.
    pub schema_version: Option<i32>,
}

/// A new address, which has passed the preflight.
#[derive(Clone, Debug)]
pub struct NewDatabase {
    /// Whose cluster it is on.
    pub mode: DatabaseMode,
    /// The address, sealed.
    pub address_sealed: Vec<u8>,
    /// What the preflight saw.
    pub facts: DatabaseFacts,
    /// What is known of it now; not `Unset`.
    pub state: DatabaseState,
    /// The address of the client's Supabase project, if it has one.
    pub supabase_url: Option<String>,
    /// The project's keys, sealed.
    pub supabase_sealed: Option<Vec<u8>>,
}

/// Gives an instance a new database and answers the address's generation. `None` when there is no
/// such instance, or it is being deleted.
///
/// # Errors
/// When the database fails.
pub async fn set_database(
    connection: &mut PgConnection,
    id: InstanceId,
    new: &NewDatabase,
    now: DateTime<Utc>,
) -> Result<Option<i64>, DbError> {
    let generation = query_scalar!(
        "UPDATE stoa_platform.chat_instances
         SET database_mode = $2, database_address_sealed = $3, database_state = $4, database_host = $5,
             database_version = $6, database_pgvector = $7, database_pooler = $8, schema_version = $9,
             schema_error_code = NULL, schema_error = NULL, schema_error_remedy = NULL, schema_error_at = NULL,
             schema_failures = 0, schema_retry_at = NULL,
             supabase_url = $10, supabase_sealed = $11, database_checked_at = $12,
             database_error_code = NULL, database_error_since = NULL,
             database_generation = database_generation + 1
         WHERE id = $1 AND status <> 'deleting'
         RETURNING database_generation",
        id.as_uuid(),
        new.mode.as_str(),
        new.address_sealed,
        new.state.as_str(),
        new.facts.host,
        new.facts.version,
        new.facts.pgvector,
        new.facts.pooler,
        new.facts.schema_version,
        new.supabase_url,
        new.supabase_sealed,
        now,
    )
    .fetch_optional(&mut *connection)
    .await?;
    announce(connection, id, u64::from(generation.is_some())).await?;
    Ok(generation)
}

/// What somebody has seen of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenState<'a> {
    /// At which address: what was learned of an older one is dropped.
    pub generation: i64,
    /// What is known of it now; not `Unset`.
    pub state: DatabaseState,
    /// A stable word for what is wrong with it, if something is.
    pub error_code: Option<&'a str>,
}

/// Notes what is known of a database, and says whether that is news. An error keeps the time of its
/// outage's beginning, even when it becomes another.
///
/// # Errors
/// When the database fails.
pub async fn set_database_state(
    connection: &mut PgConnection,
    id: InstanceId,
    seen: SeenState<'_>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET database_state = $3, database_checked_at = $5, database_error_code = $4,
             database_error_since = CASE WHEN $4::text IS NOT NULL
                 THEN coalesce(database_error_since, $5) END
         WHERE id = $1 AND database_generation = $2 AND database_address_sealed IS NOT NULL
           AND (database_state <> $3 OR database_error_code IS DISTINCT FROM $4)",
        id.as_uuid(),
        seen.generation,
        seen.state.as_str(),
        seen.error_code,
        now,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Takes instances whose databases are not well and were not looked at since `before`, the longest
/// unseen first, and notes that they are looked at now: of several processes one takes each.
///
/// # Errors
/// When the database fails.
pub async fn take_ailing(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<InstanceId>, DbError> {
    let ids = query_scalar!(
        "UPDATE stoa_platform.chat_instances SET database_probed_at = $2
         WHERE id IN (
             SELECT id FROM stoa_platform.chat_instances
             WHERE database_state IN ('unreachable', 'paused', 'migrating', 'mismatch')
               AND status <> 'deleting'
               AND (database_probed_at IS NULL OR database_probed_at <= $1)
             ORDER BY database_probed_at NULLS FIRST
             LIMIT $3
             FOR UPDATE SKIP LOCKED
         )
         RETURNING id",
        before,
        now,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(InstanceId::from_uuid).collect())
}

/// The names and states of instances whose databases are not well, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn ailing(
    connection: &mut PgConnection,
    limit: i64,
) -> Result<Vec<(InstanceId, String, DatabaseState)>, DbError> {
    let rows = query!(
        "SELECT id, slug, database_state FROM stoa_platform.chat_instances
         WHERE database_state IN ('unreachable', 'paused', 'migrating', 'mismatch')
         ORDER BY id LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = stored::word("database_state", &row.database_state)?;
            Ok((InstanceId::from_uuid(row.id), row.slug, state))
        })
        .collect()
}

/// Notes what was seen of a database, after a migration for example. The host stays that of the
/// address. `false` when the address has changed since.
///
/// # Errors
/// When the database fails.
pub async fn record_database_facts(
    connection: &mut PgConnection,
    id: InstanceId,
    generation: i64,
    facts: &DatabaseFacts,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET database_version = $3, database_pgvector = $4, database_pooler = $5, schema_version = $6
         WHERE id = $1 AND database_generation = $2",
        id.as_uuid(),
        generation,
        facts.version,
        facts.pgvector,
        facts.pooler,
        facts.schema_version,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}
