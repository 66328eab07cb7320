//! The people who chat, once the client says who they are.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::EndUserId;
use tokio_postgres::Row;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

/// What is known of a person who begins to chat.
#[derive(Debug, Clone)]
pub struct SeenEndUser<'a> {
    /// The id the person gets when new.
    pub id: EndUserId,
    /// The person's id in the client's own system.
    pub external_id: &'a str,
    /// The name, when given; an earlier one is kept otherwise.
    pub name: Option<&'a str>,
    /// The address, when given; an earlier one is kept otherwise.
    pub email: Option<&'a str>,
    /// Whether the client vouched for the id.
    pub verified: bool,
    /// Now.
    pub now: DateTime<Utc>,
}

/// A person who chats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndUser {
    /// The id.
    pub id: EndUserId,
    /// The person's id in the client's own system.
    pub external_id: String,
    /// The name.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// Whether the client ever vouched for the id.
    pub verified: bool,
    /// Whether the client has shut this person out.
    pub blocked: bool,
    /// When first seen.
    pub created_at: DateTime<Utc>,
    /// When last seen.
    pub last_seen_at: DateTime<Utc>,
}

/// Stores that a person was seen, and gives back what is known of them.
///
/// What an unverified visitor says of themselves never changes what is known of a verified person.
pub async fn upsert(
    connection: &ClientConnection,
    seen: &SeenEndUser<'_>,
) -> Result<EndUser, ClientDbError> {
    let rows = connection
        .query(
            "INSERT INTO stoa.client_users AS u
                (id, external_id, name, email, verified, created_at, last_seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6)
             ON CONFLICT (external_id) DO UPDATE
             SET name = CASE WHEN excluded.verified OR NOT u.verified
                        THEN coalesce(excluded.name, u.name) ELSE u.name END,
                 email = CASE WHEN excluded.verified OR NOT u.verified
                         THEN coalesce(excluded.email, u.email) ELSE u.email END,
                 verified = u.verified OR excluded.verified,
                 last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at)
             RETURNING id, external_id, name, email, verified, blocked, created_at, last_seen_at",
            &[
                (&seen.id.as_uuid(), Type::UUID),
                (&seen.external_id, Type::TEXT),
                (&seen.name, Type::TEXT),
                (&seen.email, Type::TEXT),
                (&seen.verified, Type::BOOL),
                (&seen.now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    one(&rows, read)?.ok_or(ClientDbError::Unreadable {
        what: "client_users",
    })
}

/// The person with this id.
pub async fn find(
    connection: &ClientConnection,
    id: EndUserId,
) -> Result<Option<EndUser>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT id, external_id, name, email, verified, blocked, created_at, last_seen_at
             FROM stoa.client_users WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    one(&rows, read)
}

fn read(row: &Row) -> Result<EndUser, ClientDbError> {
    Ok(EndUser {
        id: EndUserId::from_uuid(column(row, "id")?),
        external_id: column(row, "external_id")?,
        name: column(row, "name")?,
        email: column(row, "email")?,
        verified: column(row, "verified")?,
        blocked: column(row, "blocked")?,
        created_at: column(row, "created_at")?,
        last_seen_at: column(row, "last_seen_at")?,
    })
}
