//! The beginning of a chat turn, in one round trip.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use serde::Deserialize;
use stoa_domain::{
    EndUserId, MessageId, MessageRole, MessageState, SessionId, SessionStatus, token::TokenHash,
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Message, STEPS_SINCE};
use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, json, word},
    versioned::Versioned,
};

/// A visitor's message, and the answer that it will have.
#[derive(Debug, Clone)]
pub struct NewTurn<'a> {
    /// The conversation.
    pub session: SessionId,
    /// The hash of the token that came with the message.
    pub token_hash: &'a TokenHash,
    /// The id that the message gets, unless it was sent before.
    pub user_message: MessageId,
    /// The id that the answer gets, unless the message was sent before.
    pub answer: MessageId,
    /// What the sender calls the message, so that sending it again changes nothing.
    pub client_message_id: Option<&'a str>,
    /// The text.
    pub content: &'a str,
    /// How many of the messages before it are wanted.
    pub history: u16,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What came of a visitor's message.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnStart {
    /// The message is stored, and so is the empty answer, in state `streaming`.
    New {
        /// Who chats, once known.
        end_user: Option<EndUserId>,
        /// The messages before this one, oldest first: without the empty ones, those that the
        /// summary covers, and earlier versions of answers.
        history: Vec<HistoryMessage>,
        /// Whether there are passages that could be searched.
        has_passages: bool,
        /// What else is known of the conversation.
        known: Known,
    },
    /// The message is stored, and a person answers this conversation: there is no bot's answer.
    HandedOver {
        /// Who chats, once known.
        end_user: Option<EndUserId>,
    },
    /// The message was stored before; this is its answer, finished or not.
    Existing {
        /// The id under which the message was stored.
        user_message: MessageId,
        /// Its answer; absent when a person answers this conversation.
        answer: Option<Box<Message>>,
    },
}

/// What is known of a conversation beside its messages. All of it is the visitor's own word, or
/// a model's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The visitor's name.
    pub visitor_name: Option<String>,
    /// The visitor's language.
    pub locale: Option<String>,
    /// The page on which it began.
    pub page_url: Option<String>,
    /// What was said before the history, in short.
    pub summary: Option<String>,
}

/// One message of what was said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Its place in the conversation; grows.
    pub position: i64,
    /// Who wrote it.
    pub role: MessageRole,
    /// The text.
    pub content: String,
}

/// Checks the token, stores the message and its empty answer, and reads what was said before, in
/// one statement. `None` when there is no such conversation for this token.
///
/// Exact under races: of two sends with one `client_message_id` the second waits for the first at
/// the conversation's row, then meets its message in the unique index. `DO UPDATE` gives that row
/// back though this statement's snapshot is older than it; the answer's row may be outside the
/// snapshot for the same reason, and is then what the first has just stored: empty and streaming.
///
/// A closed conversation is opened again by its visitor's message.
pub async fn begin_turn(
    connection: &ClientConnection,
    turn: &NewTurn<'_>,
) -> Result<Option<TurnStart>, ClientDbError> {
    let rows = connection
        .query_often(
            BEGIN_TURN.on(connection),
            &[
                (&turn.session.as_uuid(), Type::UUID),
                (&turn.token_hash.as_bytes().as_slice(), Type::BYTEA),
                (&turn.user_message.as_uuid(), Type::UUID),
                (&turn.answer.as_uuid(), Type::UUID),
                (&turn.client_message_id, Type::TEXT),
                (&turn.content, Type::TEXT),
                (&turn.now, Type::TIMESTAMPTZ),
                (&i64::from(turn.history), Type::INT8),
            ],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let end_user = column::<Option<Uuid>>(row, "end_user_id")?.map(EndUserId::from_uuid);
    let stored = MessageId::from_uuid(column(row, "user_message_id")?);
    let answer_id = column::<Option<Uuid>>(row, "answer_id")?.map(MessageId::from_uuid);
    if stored != turn.user_message {
        let answer = match answer_id {
            Some(id) => Some(Box::new(existing_answer(row, turn, id)?)),
            None => None,
        };
        return Ok(Some(TurnStart::Existing {
            user_message: stored,
            answer,
        }));
    }
    if word::<SessionStatus>(row, "session_status")? == SessionStatus::Handoff {
        return Ok(Some(TurnStart::HandedOver { end_user }));
    }
    Ok(Some(TurnStart::New {
        end_user,
        history: read_history(row)?,
        has_passages: column(row, "has_passages")?,
        known: read_known(row)?,
    }))
}

#[derive(Deserialize)]
struct StoredHistory {
    position: i64,
    role: String,
    content: String,
}

pub(super) fn read_history(row: &Row) -> Result<Vec<HistoryMessage>, ClientDbError> {
    let stored = json::<Vec<StoredHistory>>(row, "history")?;
    let read = stored.into_iter().map(|item| {
        let role = item.role.parse();
        Ok(HistoryMessage {
            position: item.position,
            role: role.map_err(|_| ClientDbError::Unreadable { what: "history" })?,
            content: item.content,
        })
    });
    read.collect()
}

pub(super) fn read_known(row: &Row) -> Result<Known, ClientDbError> {
    Ok(Known {
        visitor_name: column(row, "visitor_name")?,
        locale: column(row, "locale")?,
        page_url: column(row, "page_url")?,
        summary: column(row, "summary")?,
    })
}

fn existing_answer(row: &Row, turn: &NewTurn<'_>, id: MessageId) -> Result<Message, ClientDbError> {
    if column::<Option<Uuid>>(row, "id")?.is_some() {
        return super::read(row);
    }
    Ok(Message {
        id,
        session_id: turn.session,
        role: MessageRole::Assistant,
        state: MessageState::Streaming,
        content: String::new(),
        finish_reason: None,
        error_code: None,
        sources: serde_json::Value::Array(Vec::new()),
        steps: serde_json::Value::Array(Vec::new()),
        provider: None,
        model: None,
        api_configuration_id: None,
        input_tokens: None,
        output_tokens: None,
        cost_micros: None,
        author_id: None,
        rating: None,
        unanswered: false,
        superseded_by: None,
        created_at: turn.now,
        finished_at: None,
    })
}

macro_rules! begin_turn {
    ($steps:literal) => {
        concat!(
            "
WITH session AS (
    UPDATE stoa.chat_sessions
    SET last_message_at = greatest(last_message_at, $7),
        status = CASE status WHEN 'closed' THEN 'open' ELSE status END,
        closed_at = NULL,
        title = coalesce(title, pg_catalog.left(pg_catalog.btrim(
            pg_catalog.regexp_replace(pg_catalog.left($6, 500), '\\s+', ' ', 'g')), 120))
    WHERE id = $1 AND token_hash = $2
    RETURNING id, status, end_user_id, locale, page_url, summary, summary_through
), question AS (
    INSERT INTO stoa.chat_messages
        (id, session_id, role, state, content, client_message_id, answer_id,
         created_at, updated_at, finished_at)
    SELECT $3, session.id, 'user', 'complete', $6, $5,
           CASE WHEN session.status <> 'handoff' THEN $4 END, $7, $7, $7
    FROM session
    ON CONFLICT (session_id, client_message_id) WHERE client_message_id IS NOT NULL
        DO UPDATE SET client_message_id = excluded.client_message_id
    RETURNING id, session_id, answer_id
), answer AS (
    INSERT INTO stoa.chat_messages
        (id, session_id, role, state, content, created_at, updated_at)
    SELECT question.answer_id, question.session_id, 'assistant', 'streaming', '', $7, $7
    FROM question
    WHERE question.id = $3 AND question.answer_id IS NOT NULL
), history AS (
    SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
               'position', said.position, 'role', said.role, 'content', said.content) ORDER BY said.position), '[]') AS said
    FROM (
        SELECT m.role, m.content, m.position
        FROM stoa.chat_messages m
        WHERE m.session_id = $1 AND m.state = 'complete' AND m.content <> ''
          AND m.superseded_by IS NULL
          AND m.position > coalesce((SELECT summary_through FROM session), 0)
        ORDER BY m.position DESC
        LIMIT $8
    ) said
)
SELECT session.status AS session_status, session.end_user_id,
       question.id AS user_message_id, question.answer_id, history.said AS history,
       EXISTS (SELECT FROM stoa.document_chunks) AS has_passages,
       person.name AS visitor_name, session.locale, session.page_url, session.summary,
       earlier.id, earlier.session_id, earlier.role, earlier.state, earlier.content,
       earlier.finish_reason, earlier.error_code, earlier.sources, earlier.provider, earlier.model,
       earlier.api_configuration_id, earlier.input_tokens, earlier.output_tokens,
       earlier.author_id, rated.rating, earlier.superseded_by, earlier.unanswered,
       earlier.created_at, earlier.finished_at",
            $steps,
            "
FROM session
CROSS JOIN question
CROSS JOIN history
LEFT JOIN stoa.client_users person ON person.id = session.end_user_id
LEFT JOIN stoa.chat_messages earlier
    ON earlier.id = question.answer_id AND question.id <> $3
LEFT JOIN stoa.message_feedback rated ON rated.message_id = earlier.id
"
        )
    };
}

const BEGIN_TURN: Versioned = Versioned {
    before: begin_turn!(", '[]'::jsonb AS steps, NULL::bigint AS cost_micros"),
    since: (
        STEPS_SINCE,
        begin_turn!(", earlier.steps, earlier.cost_micros"),
    ),
};
