//! What visitors think of answers.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{MessageId, Rating, SessionId};

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one, word},
};

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// Up or down.
    pub rating: Rating,
    /// In the visitor's words.
    pub comment: Option<String>,
}

/// Stores the verdict on an answer of this conversation, over an earlier one if there is one.
/// False when the conversation has no such answer.
pub async fn put(
    connection: &ClientConnection,
    session: SessionId,
    message: MessageId,
    feedback: &Feedback,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "INSERT INTO stoa.message_feedback (message_id, rating, comment, created_at, updated_at)
             SELECT m.id, $3, $4, $5, $5 FROM stoa.chat_messages m
             WHERE m.id = $2 AND m.session_id = $1 AND m.role IN ('assistant', 'agent')
             ON CONFLICT (message_id) DO UPDATE
             SET rating = excluded.rating, comment = excluded.comment,
                 updated_at = excluded.updated_at",
            &[
                (&session.as_uuid(), Type::UUID),
                (&message.as_uuid(), Type::UUID),
                (&feedback.rating.as_str(), Type::TEXT),
                (&feedback.comment, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// The verdict on an answer of this conversation.
pub async fn find(
    connection: &ClientConnection,
    session: SessionId,
    message: MessageId,
) -> Result<Option<Feedback>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT f.rating, f.comment FROM stoa.message_feedback f
             JOIN stoa.chat_messages m ON m.id = f.message_id
             WHERE f.message_id = $2 AND m.session_id = $1",
            &[
                (&session.as_uuid(), Type::UUID),
                (&message.as_uuid(), Type::UUID),
            ],
        )
        .await?;
    one(&rows, |row| {
        Ok(Feedback {
            rating: word(row, "rating")?,
            comment: column(row, "comment")?,
        })
    })
}
