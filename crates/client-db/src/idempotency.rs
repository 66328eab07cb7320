//! `Idempotency-Key`: the same request sent again gets the same answer, and its effect once.
//!
//! [`begin`] is committed before the work and [`finish`] after it. A process that dies in between
//! leaves a claim that may be taken over once it is old.

use chrono::{DateTime, Utc};
use postgres_types::Type;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

/// A request that carries a key.
#[derive(Debug, Clone, Copy)]
pub struct IdempotentRequest<'a> {
    /// What the key is for: method and path. The same key elsewhere is another one.
    pub scope: &'a str,
    /// The key that the caller chose.
    pub key: &'a str,
    /// A hash of the request's body, to tell a repetition from another request under the same key.
    pub request_hash: &'a [u8],
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq)]
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
        /// The body.
        response: serde_json::Value,
    },
}

/// From when on a key counts.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    /// Answers from before this time are forgotten.
    pub answered: DateTime<Utc>,
    /// Claims from before this time belong to a process that died.
    pub claimed: DateTime<Utc>,
}

/// What stands for the status while the request is worked on.
const AT_WORK: i32 = 0;

/// Claims a key for a request.
pub async fn begin(
    connection: &ClientConnection,
    request: &IdempotentRequest<'_>,
    since: Since,
    now: DateTime<Utc>,
) -> Result<Begun, ClientDbError> {
    let claimed = connection
        .execute(
            "INSERT INTO stoa.idempotency_keys AS k
                (scope, key, request_hash, status, response, created_at)
             VALUES ($1, $2, $3, $4, 'null', $5)
             ON CONFLICT (scope, key) DO UPDATE
             SET request_hash = excluded.request_hash, status = excluded.status,
                 response = excluded.response, created_at = excluded.created_at
             WHERE k.created_at < $6
                OR (k.status = $4 AND k.created_at < $7 AND k.request_hash = excluded.request_hash)",
            &[
                (&request.scope, Type::TEXT),
                (&request.key, Type::TEXT),
                (&request.request_hash, Type::BYTEA),
                (&AT_WORK, Type::INT4),
                (&now, Type::TIMESTAMPTZ),
                (&since.answered, Type::TIMESTAMPTZ),
                (&since.claimed, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    if claimed == 1 {
        return Ok(Begun::New);
    }
    earlier(connection, request).await
}

async fn earlier(
    connection: &ClientConnection,
    request: &IdempotentRequest<'_>,
) -> Result<Begun, ClientDbError> {
    let rows = connection
        .query(
            "SELECT request_hash, status, response FROM stoa.idempotency_keys
             WHERE scope = $1 AND key = $2",
            &[(&request.scope, Type::TEXT), (&request.key, Type::TEXT)],
        )
        .await?;
    let found = one(&rows, |row| {
        if column::<Vec<u8>>(row, "request_hash")? != request.request_hash {
            return Ok(Begun::Mismatch);
        }
        match u16::try_from(column::<i32>(row, "status")?) {
            Ok(status @ 100..) => Ok(Begun::Answered {
                status,
                response: column(row, "response")?,
            }),
            _ => Ok(Begun::InProgress),
        }
    })?;
    // Gone: abandoned this very moment; the caller comes again.
    Ok(found.unwrap_or(Begun::InProgress))
}

/// Keeps the answer. It is stored as it is, so it may hold no secret. False when the claim was
/// taken over meanwhile.
pub async fn finish(
    connection: &ClientConnection,
    request: &IdempotentRequest<'_>,
    status: u16,
    response: &serde_json::Value,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.idempotency_keys SET status = $4, response = $5
             WHERE scope = $1 AND key = $2 AND request_hash = $3 AND status = $6",
            &[
                (&request.scope, Type::TEXT),
                (&request.key, Type::TEXT),
                (&request.request_hash, Type::BYTEA),
                (&i32::from(status), Type::INT4),
                (response, Type::JSONB),
                (&AT_WORK, Type::INT4),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives a key back whose request had no effect, so that it can be tried again.
pub async fn abandon(
    connection: &ClientConnection,
    request: &IdempotentRequest<'_>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "DELETE FROM stoa.idempotency_keys
             WHERE scope = $1 AND key = $2 AND request_hash = $3 AND status = $4",
            &[
                (&request.scope, Type::TEXT),
                (&request.key, Type::TEXT),
                (&request.request_hash, Type::BYTEA),
                (&AT_WORK, Type::INT4),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Forgets the keys that are older than `expired`.
pub async fn sweep(
    connection: &ClientConnection,
    expired: DateTime<Utc>,
) -> Result<u64, ClientDbError> {
    connection
        .execute(
            "DELETE FROM stoa.idempotency_keys WHERE created_at < $1",
            &[(&expired, Type::TIMESTAMPTZ)],
        )
        .await
}
