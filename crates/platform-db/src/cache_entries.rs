//! What replicas share and nobody would miss: the table is empty after a crash.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, query, query_scalar};

use crate::DbError;

/// The value under this key, unless it is stale.
///
/// # Errors
/// When the database fails.
pub async fn get(
    connection: &mut PgConnection,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<Value>, DbError> {
    Ok(query_scalar!(
        "SELECT value FROM stoa_platform.cache_entries WHERE key = $1 AND expires_at > $2",
        key,
        now,
    )
    .fetch_optional(connection)
    .await?)
}

/// Puts a value under a key, in the place of an earlier one.
///
/// # Errors
/// When the database fails.
pub async fn put(
    connection: &mut PgConnection,
    key: &str,
    value: &Value,
    expires_at: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "INSERT INTO stoa_platform.cache_entries (key, value, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
        key,
        value,
        expires_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a value.
///
/// # Errors
/// When the database fails.
pub async fn remove(connection: &mut PgConnection, key: &str) -> Result<bool, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.cache_entries WHERE key = $1",
        key
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Clears stale values away.
///
/// # Errors
/// When the database fails.
pub async fn expire(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.cache_entries WHERE expires_at <= $1",
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
