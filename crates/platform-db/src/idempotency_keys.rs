//! `Idempotency-Key`: the same request sent again gets the same answer, and its effect once.
//!
//! [`begin`] is committed before the work, [`finish`] with it. A replica that dies in between
//! leaves a lock that runs out.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query};

use crate::DbError;

/// A request that carries a key.
#[derive(Clone, Debug)]
pub struct IdempotentRequest<'a> {
    /// Whose key it is and for what: caller, method and path. Two callers' keys never meet.
    pub scope: &'a str,
    /// The key that the caller chose.
    pub key: &'a str,
    /// A hash of the request's body, to tell a repetition from another request under the same key.
    pub request_hash: &'a [u8],
}

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The first of its kind: do it, then [`finish`] or [`abandon`].
    New,
    /// The first is still at work.
    InProgress,
    /// The key was used for another request.
    Mismatch,
    /// It was answered before, like this.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The answer, sealed as it was given to [`finish`].
        response: Vec<u8>,
    },
}

/// Claims a key for a request, until `locked_until` at first and for `expires_at` once answered.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    connection: &mut PgConnection,
    request: &IdempotentRequest<'_>,
    now: DateTime<Utc>,
    locked_until: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Begun, DbError> {
    // Taken over where the earlier one is forgotten, or the same request's worker has died.
    let claimed = query!(
        "INSERT INTO stoa_platform.idempotency_keys AS k
             (scope, key, request_hash, locked_until, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT ON CONSTRAINT idempotency_keys_key_taken DO UPDATE
         SET request_hash = excluded.request_hash, locked_until = excluded.locked_until, status = NULL,
             response = NULL, created_at = excluded.created_at, expires_at = excluded.expires_at
         WHERE k.expires_at <= $5 OR (k.locked_until <= $5 AND k.request_hash = excluded.request_hash)",
        request.scope,
        request.key,
        request.request_hash,
        locked_until,
        now,
        expires_at,
    )
    .execute(&mut *connection)
    .await?;
    if claimed.rows_affected() > 0 {
        return Ok(Begun::New);
    }
    earlier(connection, request).await
}

async fn earlier(
    connection: &mut PgConnection,
    request: &IdempotentRequest<'_>,
) -> Result<Begun, DbError> {
    let row = query!(
        "SELECT request_hash, status, response FROM stoa_platform.idempotency_keys
         WHERE scope = $1 AND key = $2",
        request.scope,
        request.key,
    )
    .fetch_optional(connection)
    .await?;
    Ok(match row {
        Some(row) if row.request_hash != request.request_hash => Begun::Mismatch,
        Some(row) => match (row.status, row.response) {
            (Some(status), Some(response)) => Begun::Answered {
                status: u16::try_from(status).unwrap_or_default(),
                response,
            },
            _ => Begun::InProgress,
        },
        // Abandoned this very moment; the caller comes again.
        None => Begun::InProgress,
    })
}

/// Keeps the answer. The caller seals it, since it may hold a token that is shown once.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    connection: &mut PgConnection,
    request: &IdempotentRequest<'_>,
    status: u16,
    response: &[u8],
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.idempotency_keys SET locked_until = NULL, status = $4, response = $5
         WHERE scope = $1 AND key = $2 AND request_hash = $3 AND locked_until IS NOT NULL",
        request.scope,
        request.key,
        request.request_hash,
        i16::try_from(status).unwrap_or_default(),
        response,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Gives a key back whose request had no effect, so that it can be tried again.
///
/// # Errors
/// When the database fails.
pub async fn abandon(
    connection: &mut PgConnection,
    request: &IdempotentRequest<'_>,
) -> Result<bool, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.idempotency_keys
         WHERE scope = $1 AND key = $2 AND request_hash = $3 AND locked_until IS NOT NULL",
        request.scope,
        request.key,
        request.request_hash,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Clears forgotten keys away.
///
/// # Errors
/// When the database fails.
pub async fn purge(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.idempotency_keys WHERE expires_at <= $1",
        now
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
