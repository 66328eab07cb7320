//! Messages of conversations.

mod again;
mod answer;
#[cfg(test)]
mod behind_tests;
mod summary;
mod turn;

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{
    ApiConfigurationId, FinishReason, MessageId, MessageRole, MessageState, Rating, SessionId,
    token::TokenHash,
};
use tokio_postgres::Row;
use uuid::Uuid;

pub use again::{Again, NewVersion, begin_again};
pub use answer::{
    FinishedAnswer, InterruptedAnswer, MeteredAnswer, finish, finished_since, interrupt_if_stale,
    interrupt_stale, save_partial, set_sources,
};
pub use summary::{NewSummary, keep_summary, said_between};
pub use turn::{HistoryMessage, Known, NewTurn, TurnStart, begin_turn};

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    page::{Cursor, Page, PageRequest},
    row::{all, column, one, optional_word, word},
    versioned::Versioned,
};

/// The first schema version in which answers have steps and a cost.
pub(crate) const STEPS_SINCE: i32 = 3;

/// Selects whole messages `m` with their rating, and with what follows.
macro_rules! select_messages {
    ($($rest:literal),+) => {
        Versioned {
            before: concat!(
                select_messages!(@columns),
                ", '[]'::jsonb AS steps, NULL::bigint AS cost_micros ",
                $($rest),+
            ),
            since: (
                STEPS_SINCE,
                concat!(select_messages!(@columns), ", m.steps, m.cost_micros ", $($rest),+),
            ),
        }
    };
    (@columns) => {
        "SELECT m.id, m.session_id, m.role, m.state, m.content, m.finish_reason, m.error_code,
                m.sources, m.provider, m.model, m.api_configuration_id, m.input_tokens,
                m.output_tokens, m.author_id, f.rating, m.unanswered, m.superseded_by,
                m.created_at, m.finished_at"
    };
}

/// Selects the messages of a conversation in order that fulfil a condition.
macro_rules! list_messages {
    ($condition:literal) => {
        select_messages!(
            "FROM stoa.chat_messages m
             LEFT JOIN stoa.message_feedback f ON f.message_id = m.id
             WHERE m.session_id = $1
               AND ($2::uuid IS NULL OR (m.position, m.id) > (
                    SELECT after.position, after.id FROM stoa.chat_messages after
                    WHERE after.id = $2 AND after.session_id = $1))
               AND ",
            $condition,
            " ORDER BY m.position, m.id LIMIT $3"
        )
    };
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The conversation it is part of.
    pub session_id: SessionId,
    /// Who wrote it.
    pub role: MessageRole,
    /// Whether it is still being written.
    pub state: MessageState,
    /// The text so far.
    pub content: String,
    /// Why the answer ended.
    pub finish_reason: Option<FinishReason>,
    /// The code of the failure, when it ended with one.
    pub error_code: Option<String>,
    /// The answer's sources, in the shape in which they were stored.
    pub sources: serde_json::Value,
    /// What happened between the answer's words, likewise.
    pub steps: serde_json::Value,
    /// Which provider answered.
    pub provider: Option<String>,
    /// Which model answered.
    pub model: Option<String>,
    /// With which configuration.
    pub api_configuration_id: Option<ApiConfigurationId>,
    /// Tokens read by the model.
    pub input_tokens: Option<i64>,
    /// Tokens written by the model.
    pub output_tokens: Option<i64>,
    /// What it cost in millionths of the currency of prices; unknown where it is absent.
    pub cost_micros: Option<i64>,
    /// The agent who wrote it.
    pub author_id: Option<Uuid>,
    /// The visitor's verdict on the answer.
    pub rating: Option<Rating>,
    /// Whether the answer says that nothing was found.
    pub unanswered: bool,
    /// The answer that was made to the same question after this one.
    pub superseded_by: Option<MessageId>,
    /// When it was stored first.
    pub created_at: DateTime<Utc>,
    /// When it became final.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The message with this id.
pub async fn find(
    connection: &ClientConnection,
    session: SessionId,
    id: MessageId,
) -> Result<Option<Message>, ClientDbError> {
    const FIND: Versioned = select_messages!(
        "FROM stoa.chat_messages m
         LEFT JOIN stoa.message_feedback f ON f.message_id = m.id
         WHERE m.id = $1 AND m.session_id = $2"
    );
    let rows = connection
        .query(
            FIND.on(connection),
            &[
                (&id.as_uuid(), Type::UUID),
                (&session.as_uuid(), Type::UUID),
            ],
        )
        .await?;
    one(&rows, read)
}

/// The message with this id, for the holder of the token of its conversation.
pub async fn find_by_token(
    connection: &ClientConnection,
    id: MessageId,
    token_hash: &TokenHash,
) -> Result<Option<Message>, ClientDbError> {
    const FIND: Versioned = select_messages!(
        "FROM stoa.chat_messages m
         JOIN stoa.chat_sessions s ON s.id = m.session_id
         LEFT JOIN stoa.message_feedback f ON f.message_id = m.id
         WHERE m.id = $1 AND s.token_hash = $2"
    );
    let rows = connection
        .query_often(
            FIND.on(connection),
            &[
                (&id.as_uuid(), Type::UUID),
                (&token_hash.as_bytes().as_slice(), Type::BYTEA),
            ],
        )
        .await?;
    one(&rows, read)
}

/// The messages of a conversation in order, oldest first, each answer in its last version.
pub async fn list(
    connection: &ClientConnection,
    session: SessionId,
    request: &PageRequest,
) -> Result<Page<Message>, ClientDbError> {
    const LIST: Versioned = list_messages!("m.superseded_by IS NULL");
    listed(connection, &LIST, session, request).await
}

/// The same with the earlier versions of answers, each before the version that came after it.
pub async fn list_versions(
    connection: &ClientConnection,
    session: SessionId,
    request: &PageRequest,
) -> Result<Page<Message>, ClientDbError> {
    const LIST: Versioned = list_messages!("true");
    listed(connection, &LIST, session, request).await
}

async fn listed(
    connection: &ClientConnection,
    statement: &Versioned,
    session: SessionId,
    request: &PageRequest,
) -> Result<Page<Message>, ClientDbError> {
    let rows = connection
        .query_often(
            statement.on(connection),
            &[
                (&session.as_uuid(), Type::UUID),
                (&request.after_id(), Type::UUID),
                (&request.rows_to_read(), Type::INT8),
            ],
        )
        .await?;
    let messages = all(&rows, read)?;
    Ok(request.page(messages, |it| Cursor {
        at: it.created_at,
        id: it.id.as_uuid(),
    }))
}

/// Stores what a person of the client's wrote, which hands the conversation over to them: the bot is
/// silent from here, and a closed conversation is taken up again. False when there is no such
/// conversation.
pub async fn add_agent_message(
    connection: &ClientConnection,
    session: SessionId,
    id: MessageId,
    author: Option<Uuid>,
    content: &str,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "WITH touched AS (
                UPDATE stoa.chat_sessions
                SET last_message_at = greatest(last_message_at, $5), status = 'handoff',
                    closed_at = NULL, assigned_to = coalesce($3, assigned_to)
                WHERE id = $1
                RETURNING id
             )
             INSERT INTO stoa.chat_messages
                (id, session_id, role, state, content, author_id, created_at, updated_at, finished_at)
             SELECT $2, touched.id, 'agent', 'complete', $4, $3, $5, $5, $5 FROM touched",
            &[
                (&session.as_uuid(), Type::UUID),
                (&id.as_uuid(), Type::UUID),
                (&author, Type::UUID),
                (&content, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

fn read(row: &Row) -> Result<Message, ClientDbError> {
    Ok(Message {
        id: MessageId::from_uuid(column(row, "id")?),
        session_id: SessionId::from_uuid(column(row, "session_id")?),
        role: word(row, "role")?,
        state: word(row, "state")?,
        content: column(row, "content")?,
        finish_reason: optional_word(row, "finish_reason")?,
        error_code: column(row, "error_code")?,
        sources: column(row, "sources")?,
        steps: column(row, "steps")?,
        provider: column(row, "provider")?,
        model: column(row, "model")?,
        api_configuration_id: column::<Option<Uuid>>(row, "api_configuration_id")?
            .map(ApiConfigurationId::from_uuid),
        input_tokens: column(row, "input_tokens")?,
        output_tokens: column(row, "output_tokens")?,
        cost_micros: column(row, "cost_micros")?,
        author_id: column(row, "author_id")?,
        rating: optional_word(row, "rating")?,
        unanswered: column(row, "unanswered")?,
        superseded_by: column::<Option<Uuid>>(row, "superseded_by")?.map(MessageId::from_uuid),
        created_at: column(row, "created_at")?,
        finished_at: column(row, "finished_at")?,
    })
}
