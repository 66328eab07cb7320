//! Conversations.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{EndUserId, SessionId, SessionStatus, token::TokenHash};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    page::{Cursor, Page, PageRequest},
    row::{all, column, one, word},
};

/// A conversation that begins.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The hash of the token that its visitor holds.
    pub token_hash: TokenHash,
    /// Who chats, once known.
    pub end_user: Option<EndUserId>,
    /// The visitor's language.
    pub locale: Option<String>,
    /// The page on which the conversation began.
    pub page_url: Option<String>,
    /// Now.
    pub created_at: DateTime<Utc>,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Where it stands.
    pub status: SessionStatus,
    /// Who chats, once known.
    pub end_user: Option<EndUserId>,
    /// The end user's id in the client's own system.
    pub end_user_external_id: Option<String>,
    /// The end user's name.
    pub end_user_name: Option<String>,
    /// The admin who has taken it over.
    pub assigned_to: Option<Uuid>,
    /// The visitor's language.
    pub locale: Option<String>,
    /// The page on which it began.
    pub page_url: Option<String>,
    /// The first question, cut to one line.
    pub title: Option<String>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When somebody last wrote.
    pub last_message_at: DateTime<Utc>,
    /// When it was closed, if it is.
    pub closed_at: Option<DateTime<Utc>>,
}

/// Which conversations are wanted. Empty means all.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Those that stand here.
    pub status: Option<SessionStatus>,
    /// Those in which this text was written, whatever its case.
    pub text: Option<String>,
    /// Those of the end user with this id, ours or the client's own.
    pub user: Option<String>,
}

/// Stores a conversation.
pub async fn create(
    connection: &ClientConnection,
    session: &NewSession,
) -> Result<(), ClientDbError> {
    connection
        .execute_often(
            "INSERT INTO stoa.chat_sessions
                (id, token_hash, end_user_id, status, locale, page_url, created_at, last_message_at)
             VALUES ($1, $2, $3, 'open', $4, $5, $6, $6)",
            &[
                (&session.id.as_uuid(), Type::UUID),
                (&session.token_hash.as_bytes().as_slice(), Type::BYTEA),
                (&session.end_user.map(|it| it.as_uuid()), Type::UUID),
                (&session.locale, Type::TEXT),
                (&session.page_url, Type::TEXT),
                (&session.created_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// The conversation with this id.
pub async fn find(
    connection: &ClientConnection,
    id: SessionId,
) -> Result<Option<Session>, ClientDbError> {
    let rows = connection
        .query_often(
            "SELECT s.id, s.status, s.end_user_id, u.external_id, u.name, s.assigned_to, s.locale,
                    s.page_url, s.title, s.created_at, s.last_message_at, s.closed_at
             FROM stoa.chat_sessions s
             LEFT JOIN stoa.client_users u ON u.id = s.end_user_id
             WHERE s.id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    one(&rows, read)
}

/// The conversation with this id, for the holder of its token.
pub async fn find_by_token(
    connection: &ClientConnection,
    id: SessionId,
    token_hash: &TokenHash,
) -> Result<Option<Session>, ClientDbError> {
    let rows = connection
        .query_often(
            "SELECT s.id, s.status, s.end_user_id, u.external_id, u.name, s.assigned_to, s.locale,
                    s.page_url, s.title, s.created_at, s.last_message_at, s.closed_at
             FROM stoa.chat_sessions s
             LEFT JOIN stoa.client_users u ON u.id = s.end_user_id
             WHERE s.id = $1 AND s.token_hash = $2",
            &[
                (&id.as_uuid(), Type::UUID),
                (&token_hash.as_bytes().as_slice(), Type::BYTEA),
            ],
        )
        .await?;
    one(&rows, read)
}

/// Conversations by their last message, newest first.
pub async fn list(
    connection: &ClientConnection,
    filter: &SessionFilter,
    request: &PageRequest,
) -> Result<Page<Session>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT s.id, s.status, s.end_user_id, u.external_id, u.name, s.assigned_to, s.locale,
                    s.page_url, s.title, s.created_at, s.last_message_at, s.closed_at
             FROM stoa.chat_sessions s
             LEFT JOIN stoa.client_users u ON u.id = s.end_user_id
             WHERE ($1::text IS NULL OR s.status = $1)
               AND ($2::text IS NULL OR u.external_id = $2 OR u.id::text = $2)
               AND ($3::text IS NULL OR EXISTS (
                    SELECT FROM stoa.chat_messages m
                    WHERE m.session_id = s.id
                      AND pg_catalog.strpos(pg_catalog.lower(m.content), pg_catalog.lower($3)) > 0))
               AND ($4::timestamptz IS NULL OR (s.last_message_at, s.id) < ($4, $5))
             ORDER BY s.last_message_at DESC, s.id DESC
             LIMIT $6",
            &[
                (&filter.status.map(SessionStatus::as_str), Type::TEXT),
                (&filter.user, Type::TEXT),
                (&filter.text, Type::TEXT),
                (&request.after_time(), Type::TIMESTAMPTZ),
                (&request.after_id(), Type::UUID),
                (&request.rows_to_read(), Type::INT8),
            ],
        )
        .await?;
    let sessions = all(&rows, read)?;
    Ok(request.page(sessions, |it| Cursor {
        at: it.last_message_at,
        id: it.id.as_uuid(),
    }))
}

/// Moves a conversation to `status`; an open one has nobody assigned. False when there is none.
pub async fn set_status(
    connection: &ClientConnection,
    id: SessionId,
    status: SessionStatus,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.chat_sessions
             SET status = $2,
                 closed_at = CASE WHEN $2 = 'closed' THEN coalesce(closed_at, $3) END,
                 assigned_to = CASE WHEN $2 <> 'open' THEN assigned_to END
             WHERE id = $1",
            &[
                (&id.as_uuid(), Type::UUID),
                (&status.as_str(), Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends a conversation. Its visitor's next message opens it again. False when there is none.
pub async fn close(
    connection: &ClientConnection,
    id: SessionId,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    set_status(connection, id, SessionStatus::Closed, now).await
}

/// Gives a conversation to a person (or takes it back with `None`), which moves it to handoff.
/// False when there is none.
pub async fn assign(
    connection: &ClientConnection,
    id: SessionId,
    admin: Option<Uuid>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.chat_sessions
             SET assigned_to = $2, status = 'handoff', closed_at = NULL
             WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID), (&admin, Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

fn read(row: &Row) -> Result<Session, ClientDbError> {
    Ok(Session {
        id: SessionId::from_uuid(column(row, "id")?),
        status: word(row, "status")?,
        end_user: column::<Option<Uuid>>(row, "end_user_id")?.map(EndUserId::from_uuid),
        end_user_external_id: column(row, "external_id")?,
        end_user_name: column(row, "name")?,
        assigned_to: column(row, "assigned_to")?,
        locale: column(row, "locale")?,
        page_url: column(row, "page_url")?,
        title: column(row, "title")?,
        created_at: column(row, "created_at")?,
        last_message_at: column(row, "last_message_at")?,
        closed_at: column(row, "closed_at")?,
    })
}
