//! The running summary of a long conversation: what models are told in place of its beginning.

use postgres_types::Type;
use stoa_domain::SessionId;

use super::turn::HistoryMessage;
use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{all, column, word},
};

/// A summary that takes the place of an earlier one.
#[derive(Debug, Clone)]
pub struct NewSummary<'a> {
    /// The conversation.
    pub session: SessionId,
    /// What was said, in short.
    pub text: &'a str,
    /// The position of the last message that it covers.
    pub through: i64,
}

/// What was said after the present summary, up to and with the message at `through`, oldest first,
/// with the summary itself. `None` when the summary reaches as far already, or there is no such
/// conversation.
pub async fn said_between(
    connection: &ClientConnection,
    session: SessionId,
    through: i64,
    limit: u16,
) -> Result<Option<(Option<String>, Vec<HistoryMessage>)>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT s.summary, m.position, m.role, m.content
             FROM stoa.chat_sessions s
             JOIN stoa.chat_messages m ON m.session_id = s.id
             WHERE s.id = $1 AND m.state = 'complete' AND m.content <> ''
               AND m.superseded_by IS NULL
               AND m.position > coalesce(s.summary_through, 0) AND m.position <= $2
             ORDER BY m.position
             LIMIT $3",
            &[
                (&session.as_uuid(), Type::UUID),
                (&through, Type::INT8),
                (&i64::from(limit), Type::INT8),
            ],
        )
        .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let summary = column(first, "summary")?;
    let said = all(&rows, |row| {
        Ok(HistoryMessage {
            position: column(row, "position")?,
            role: word(row, "role")?,
            content: column(row, "content")?,
        })
    })?;
    Ok(Some((summary, said)))
}

/// Keeps a summary, unless one is there that reaches as far. False when it was not kept.
pub async fn keep_summary(
    connection: &ClientConnection,
    summary: &NewSummary<'_>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.chat_sessions
             SET summary = $2, summary_through = $3
             WHERE id = $1 AND coalesce(summary_through, 0) < $3",
            &[
                (&summary.session.as_uuid(), Type::UUID),
                (&summary.text, Type::TEXT),
                (&summary.through, Type::INT8),
            ],
        )
        .await?;
    Ok(changed == 1)
}
