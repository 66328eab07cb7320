//! Every time the platform's people looked in, in the client's own database.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use uuid::Uuid;

use crate::{connection::ClientConnection, error::ClientDbError};

/// A look that was taken.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// The line's id.
    pub id: Uuid,
    /// Who looked.
    pub actor: &'a str,
    /// What was done, such as `export`.
    pub action: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

/// Notes it.
pub async fn insert(connection: &ClientConnection, look: &Look<'_>) -> Result<(), ClientDbError> {
    connection
        .execute(
            "INSERT INTO stoa.access_log (id, actor, action, reason, created_at)
             VALUES ($1, $2, $3, $4, $5)",
            &[
                (&look.id, Type::UUID),
                (&look.actor, Type::TEXT),
                (&look.action, Type::TEXT),
                (&look.reason, Type::TEXT),
                (&look.at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}
