//! Answering a question again: a new version of its answer, at the same place.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{EndUserId, MessageId, SessionId, token::TokenHash};
use uuid::Uuid;

use super::turn::{HistoryMessage, Known, read_history, read_known};
use super::{Message, find_by_token};
use crate::{connection::ClientConnection, error::ClientDbError, row::column};

/// A version that an answer is to have.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    /// The answer that there is.
    pub of: MessageId,
    /// The hash of the token that came with the request.
    pub token_hash: &'a TokenHash,
    /// The id that the new version gets.
    pub answer: MessageId,
    /// How many of the messages before the question are wanted.
    pub history: u16,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What came of answering again.
#[derive(Debug, Clone, PartialEq)]
pub enum Again {
    /// The new version is stored, empty and in state `streaming`.
    New {
        /// The conversation.
        session: SessionId,
        /// Who chats, once known.
        end_user: Option<EndUserId>,
        /// The question.
        question: String,
        /// The messages before the question, as at a turn's beginning.
        history: Vec<HistoryMessage>,
        /// Whether there are passages that could be searched.
        has_passages: bool,
        /// What else is known of the conversation.
        known: Known,
    },
    /// There is a newer version already, finished or not.
    Newer(Box<Message>),
    /// It is not an answer that can be made again: it is being written, is not the last message, is
    /// no bot's, or a person has taken the conversation over.
    Refused,
}

/// Checks the token and puts an empty version in the place of an answer, which is kept. `None` when
/// there is no such message for this token.
///
/// Exact under races: of two requests for one answer the second waits at the answer's row, then
/// finds it superseded.
pub async fn begin_again(
    connection: &ClientConnection,
    version: &NewVersion<'_>,
) -> Result<Option<Again>, ClientDbError> {
    let rows = connection
        .query(
            BEGIN_AGAIN,
            &[
                (&version.of.as_uuid(), Type::UUID),
                (&version.token_hash.as_bytes().as_slice(), Type::BYTEA),
                (&version.answer.as_uuid(), Type::UUID),
                (&version.now, Type::TIMESTAMPTZ),
                (&i64::from(version.history), Type::INT8),
            ],
        )
        .await?;
    let Some((row, said)) = rows.split_first() else {
        return why_not(connection, version).await;
    };
    Ok(Some(Again::New {
        session: SessionId::from_uuid(column::<Uuid>(row, "session_id")?),
        end_user: column::<Option<Uuid>>(row, "end_user_id")?.map(EndUserId::from_uuid),
        question: column(row, "question")?,
        history: read_history(said)?,
        has_passages: column(row, "has_passages")?,
        known: read_known(row)?,
    }))
}

async fn why_not(
    connection: &ClientConnection,
    version: &NewVersion<'_>,
) -> Result<Option<Again>, ClientDbError> {
    let Some(found) = find_by_token(connection, version.of, version.token_hash).await? else {
        return Ok(None);
    };
    let Some(newer) = found.superseded_by else {
        return Ok(Some(Again::Refused));
    };
    let newer = find_by_token(connection, newer, version.token_hash).await?;
    Ok(Some(newer.map_or(Again::Refused, |message| {
        Again::Newer(Box::new(message))
    })))
}

/// Gives the rows that a turn's beginning gives.
const BEGIN_AGAIN: &str = "
WITH session AS (
    SELECT s.id, s.end_user_id, s.locale, s.page_url, s.summary, s.summary_through
    FROM stoa.chat_sessions s
    JOIN stoa.chat_messages m ON m.session_id = s.id
    WHERE m.id = $1 AND s.token_hash = $2 AND s.status <> 'handoff'
), old AS (
    UPDATE stoa.chat_messages m
    SET superseded_by = $3, updated_at = $4
    FROM session
    WHERE m.id = $1 AND m.role = 'assistant' AND m.state = 'complete' AND m.superseded_by IS NULL
      AND EXISTS (
          SELECT FROM stoa.chat_messages asked
          WHERE asked.session_id = session.id AND asked.answer_id = m.id)
      AND NOT EXISTS (
          SELECT FROM stoa.chat_messages later
          WHERE later.session_id = session.id AND later.position > m.position)
    RETURNING m.session_id, m.position
), question AS (
    UPDATE stoa.chat_messages q
    SET answer_id = $3
    FROM old
    WHERE q.session_id = old.session_id AND q.answer_id = $1
    RETURNING q.content, q.position
), answer AS (
    INSERT INTO stoa.chat_messages
        (id, session_id, position, role, state, content, created_at, updated_at)
    SELECT $3, old.session_id, old.position, 'assistant', 'streaming', '', $4, $4
    FROM old
), touched AS (
    UPDATE stoa.chat_sessions s
    SET last_message_at = greatest(s.last_message_at, $4)
    FROM old
    WHERE s.id = old.session_id
)
SELECT session.id AS session_id, session.end_user_id,
       CASE WHEN said.position IS NULL THEN question.content END AS question,
       EXISTS (SELECT FROM stoa.document_chunks) AS has_passages,
       (SELECT person.name FROM stoa.client_users person
        WHERE person.id = session.end_user_id) AS visitor_name,
       session.locale,
       CASE WHEN said.position IS NULL THEN session.page_url END AS page_url,
       CASE WHEN said.position IS NULL THEN session.summary END AS summary,
       said.position, said.role, said.content
FROM session
CROSS JOIN question
CROSS JOIN LATERAL (
    SELECT NULL::bigint AS position, NULL::text AS role, NULL::text AS content
    UNION ALL
    (SELECT m.position, m.role, m.content
     FROM stoa.chat_messages m
     WHERE m.session_id = session.id AND m.position < question.position AND m.state = 'complete'
       AND m.content <> '' AND m.superseded_by IS NULL
       AND m.position > coalesce(session.summary_through, 0)
     ORDER BY m.position DESC
     LIMIT $5)
) said
";
