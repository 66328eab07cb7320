//! The beginning of a chat turn, in one round trip.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{EndUserId, MessageId, MessageRole, SessionId, SessionStatus, token::TokenHash};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Message, find};
use crate::{
    connection::{ClientConnection, Parameters},
    error::ClientDbError,
    row::{column, one, word},
};

/// What the first question of a conversation gives it for a title, at most: so many characters, of so
/// many that are looked at.
const LONGEST_TITLE: usize = 120;
const TITLE_FROM: usize = 500;

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
/// the conversation's row. Its snapshot is older than the first's message, so it tries to store its
/// own, and the unique index refuses it with all that it did.
///
/// A closed conversation is opened again by its visitor's message.
pub async fn begin_turn(
    connection: &ClientConnection,
    turn: &NewTurn<'_>,
) -> Result<Option<TurnStart>, ClientDbError> {
    let stored = store(connection, turn).await;
    let rows = match stored {
        Err(ClientDbError::Conflict { constraint }) if constraint == ONCE => {
            return existing(connection, turn).await;
        }
        stored => stored?,
    };
    let Some((row, said)) = rows.split_first() else {
        return Ok(None);
    };
    if !column::<bool>(row, "is_new")? {
        return existing(connection, turn).await;
    }
    let end_user = column::<Option<Uuid>>(row, "end_user_id")?.map(EndUserId::from_uuid);
    if word::<SessionStatus>(row, "session_status")? == SessionStatus::Handoff {
        return Ok(Some(TurnStart::HandedOver { end_user }));
    }
    Ok(Some(TurnStart::New {
        end_user,
        history: read_history(said)?,
        has_passages: column(row, "has_passages")?,
        known: read_known(row)?,
    }))
}

async fn store(
    connection: &ClientConnection,
    turn: &NewTurn<'_>,
) -> Result<Vec<Row>, ClientDbError> {
    let parameters: Parameters<'_> = &[
        (&turn.session.as_uuid(), Type::UUID),
        (&turn.token_hash.as_bytes().as_slice(), Type::BYTEA),
        (&turn.user_message.as_uuid(), Type::UUID),
        (&turn.answer.as_uuid(), Type::UUID),
        (&turn.client_message_id, Type::TEXT),
        (&turn.content, Type::TEXT),
        (&turn.now, Type::TIMESTAMPTZ),
        (&i64::from(turn.history), Type::INT8),
        (&title(turn.content), Type::TEXT),
    ];
    connection.query_often(BEGIN_TURN, parameters).await
}

/// What a conversation is called after its first question.
fn title(question: &str) -> Option<String> {
    let looked_at: String = question.chars().take(TITLE_FROM).collect();
    let words: Vec<_> = looked_at.split_whitespace().collect();
    let title = words.join(" ").chars().take(LONGEST_TITLE).collect();
    Some(title).filter(|title: &String| !title.is_empty())
}

/// What came of a message that was stored before. Its conversation was found by its token.
async fn existing(
    connection: &ClientConnection,
    turn: &NewTurn<'_>,
) -> Result<Option<TurnStart>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT q.id, q.answer_id
             FROM stoa.chat_messages q
             JOIN stoa.chat_sessions s ON s.id = q.session_id
             WHERE q.session_id = $1 AND q.client_message_id = $2 AND s.token_hash = $3",
            &[
                (&turn.session.as_uuid(), Type::UUID),
                (&turn.client_message_id, Type::TEXT),
                (&turn.token_hash.as_bytes().as_slice(), Type::BYTEA),
            ],
        )
        .await?;
    let stored = one(&rows, |row| {
        let answer = column::<Option<Uuid>>(row, "answer_id")?;
        Ok((
            MessageId::from_uuid(column(row, "id")?),
            answer.map(MessageId::from_uuid),
        ))
    })?;
    let Some((user_message, answer)) = stored else {
        return Ok(None);
    };
    let answer = match answer {
        Some(answer) => find(connection, turn.session, answer).await?,
        None => None,
    };
    Ok(Some(TurnStart::Existing {
        user_message,
        answer: answer.map(Box::new),
    }))
}

/// The rows after the first of a turn's beginning, which come newest first.
pub(super) fn read_history(rows: &[Row]) -> Result<Vec<HistoryMessage>, ClientDbError> {
    let said = rows.iter().rev().map(|row| {
        Ok(HistoryMessage {
            position: column(row, "position")?,
            role: word(row, "role")?,
            content: column(row, "content")?,
        })
    });
    said.collect()
}

pub(super) fn read_known(row: &Row) -> Result<Known, ClientDbError> {
    Ok(Known {
        visitor_name: column(row, "visitor_name")?,
        locale: column(row, "locale")?,
        page_url: column(row, "page_url")?,
        summary: column(row, "summary")?,
    })
}

/// The index in which a message that is sent again is met.
const ONCE: &str = "chat_messages_once";

/// Gives a row about the conversation, then one for each message of what was said before, newest
/// first, with nothing about the conversation that may be long. Both messages go in by one insert,
/// and whatever is of use only where a message is sent again is asked for then: what a plan holds is
/// set up at each turn, used or not.
const BEGIN_TURN: &str = "
WITH session AS (
    UPDATE stoa.chat_sessions
    SET last_message_at = greatest(last_message_at, $7),
        status = CASE status WHEN 'closed' THEN 'open' ELSE status END,
        closed_at = NULL,
        title = coalesce(title, $9)
    WHERE id = $1 AND token_hash = $2
    RETURNING id, status, end_user_id, locale, page_url, summary, summary_through
), stored AS (
    INSERT INTO stoa.chat_messages
        (id, session_id, role, state, content, client_message_id, answer_id,
         created_at, updated_at, finished_at)
    SELECT new.id, session.id, new.role, new.state, new.content, new.client_message_id,
           CASE WHEN session.status <> 'handoff' THEN new.answer_id END, $7, $7, new.finished_at
    FROM session
    CROSS JOIN (VALUES ($3::uuid, 'user', 'complete', $6::text, $5::text, $4::uuid, $7::timestamptz),
                       ($4, 'assistant', 'streaming', '', NULL, NULL, NULL))
        AS new (id, role, state, content, client_message_id, answer_id, finished_at)
    WHERE (new.role = 'user' OR session.status <> 'handoff')
      AND NOT EXISTS (
          SELECT FROM stoa.chat_messages earlier
          WHERE earlier.session_id = $1 AND earlier.client_message_id = $5)
    RETURNING id
)
SELECT session.status AS session_status, session.end_user_id,
       EXISTS (SELECT FROM stored) AS is_new,
       EXISTS (SELECT FROM stoa.document_chunks) AS has_passages,
       (SELECT person.name FROM stoa.client_users person
        WHERE person.id = session.end_user_id) AS visitor_name,
       session.locale,
       CASE WHEN said.position IS NULL THEN session.page_url END AS page_url,
       CASE WHEN said.position IS NULL THEN session.summary END AS summary,
       said.position, said.role, said.content
FROM session
CROSS JOIN LATERAL (
    SELECT NULL::bigint AS position, NULL::text AS role, NULL::text AS content
    UNION ALL
    (SELECT m.position, m.role, m.content
     FROM stoa.chat_messages m
     WHERE m.session_id = session.id AND m.state = 'complete' AND m.content <> ''
       AND m.superseded_by IS NULL AND m.position > coalesce(session.summary_through, 0)
     ORDER BY m.position DESC
     LIMIT $8)
) said
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_called_after_the_beginning_of_its_first_question() {
        assert_eq!(title("  How  much?\n").as_deref(), Some("How much?"));
        assert_eq!(title(" \n\t"), None);
        let long = title(&"äb ".repeat(200)).unwrap();
        assert_eq!(long.chars().count(), LONGEST_TITLE);
        let spaced = format!("{}x", " ".repeat(TITLE_FROM));
        assert_eq!(title(&spaced), None, "it is not searched for a word");
    }
}
