//! Answers to requests that may be sent twice.

use chrono::{DateTime, Utc};
use postgres_types::Type;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

/// The answer that a request was given.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResponse {
    /// The hash of the request's body: the same key with another body is a mistake.
    pub request_hash: Vec<u8>,
    /// The HTTP status.
    pub status: i32,
    /// The body.
    pub response: serde_json::Value,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What was answered to `key` within `scope` at or after `since`.
pub async fn find(
    connection: &ClientConnection,
    scope: &str,
    key: &str,
    since: DateTime<Utc>,
) -> Result<Option<StoredResponse>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT request_hash, status, response, created_at FROM stoa.idempotency_keys
             WHERE scope = $1 AND key = $2 AND created_at >= $3",
            &[
                (&scope, Type::TEXT),
                (&key, Type::TEXT),
                (&since, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    one(&rows, |row| {
        Ok(StoredResponse {
            request_hash: column(row, "request_hash")?,
            status: column(row, "status")?,
            response: column(row, "response")?,
            created_at: column(row, "created_at")?,
        })
    })
}

/// Keeps an answer. False when the key has one already, unless that is older than `expired`.
pub async fn store(
    connection: &ClientConnection,
    scope: &str,
    key: &str,
    response: &StoredResponse,
    expired: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "INSERT INTO stoa.idempotency_keys AS k
                (scope, key, request_hash, status, response, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (scope, key) DO UPDATE
             SET request_hash = excluded.request_hash, status = excluded.status,
                 response = excluded.response, created_at = excluded.created_at
             WHERE k.created_at < $7",
            &[
                (&scope, Type::TEXT),
                (&key, Type::TEXT),
                (&response.request_hash, Type::BYTEA),
                (&response.status, Type::INT4),
                (&response.response, Type::JSONB),
                (&response.created_at, Type::TIMESTAMPTZ),
                (&expired, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Forgets the answers that are older than `expired`.
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
