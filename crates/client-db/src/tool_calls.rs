//! Calls of tools that an answer made: stored before they are made, so that nothing is made twice,
//! and decided by the visitor where they change something.
//!
//! Every step from one state to the next is a compare-and-set. Databases whose schema is one behind
//! have no calls.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use serde_json::{Map, Value};
use stoa_domain::{MessageId, ToolCallId, ToolCallState, ToolEffect, token::TokenHash};

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    messages::STEPS_SINCE,
    row::{all, column, one, word},
};

/// A call that is about to be made, or that the visitor is about to be asked about.
#[derive(Debug, Clone)]
pub struct NewToolCall<'a> {
    /// Its id.
    pub id: ToolCallId,
    /// Its place among the calls of the answer, from 1.
    pub ordinal: u16,
    /// The tool's name.
    pub tool: &'a str,
    /// The arguments.
    pub input: &'a Map<String, Value>,
    /// What it may do: what only reads is stored as `running`, what writes as `asking`.
    pub effect: ToolEffect,
}

/// What a visitor says of a call.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// The answer that asks.
    pub message: MessageId,
    /// The call.
    pub call: ToolCallId,
    /// The hash of the token that came with the word.
    pub token_hash: &'a TokenHash,
    /// Whether it may be made.
    pub approved: bool,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What came of a visitor's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It counts.
    Now,
    /// Nobody asks any more.
    Before,
}

/// Stores the calls of an answer that is being written. False when it is final already, or gone, or
/// the database has no place for them: then none may be made.
pub async fn insert(
    connection: &ClientConnection,
    answer: MessageId,
    calls: &[NewToolCall<'_>],
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    if connection.schema_version() < STEPS_SINCE {
        return Ok(false);
    }
    let ids: Vec<_> = calls.iter().map(|it| it.id.as_uuid()).collect();
    let ordinals: Vec<_> = calls.iter().map(|it| i32::from(it.ordinal)).collect();
    let tools: Vec<_> = calls.iter().map(|it| it.tool).collect();
    let inputs: Vec<_> = calls
        .iter()
        .map(|it| Value::Object(it.input.clone()))
        .collect();
    let writes: Vec<_> = calls
        .iter()
        .map(|it| it.effect == ToolEffect::Write)
        .collect();
    let stored = connection
        .execute(
            "INSERT INTO stoa.tool_calls
                (id, message_id, ordinal, tool, input, writes, state, created_at)
             SELECT c.id, m.id, c.ordinal, c.tool, c.input, c.writes,
                    CASE WHEN c.writes THEN 'asking' ELSE 'running' END, $7
             FROM stoa.chat_messages m
             CROSS JOIN ROWS FROM (
                 pg_catalog.unnest($2::uuid[]), pg_catalog.unnest($3::integer[]),
                 pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::jsonb[]),
                 pg_catalog.unnest($6::boolean[])
             ) AS c (id, ordinal, tool, input, writes)
             WHERE m.id = $1 AND m.state = 'streaming'",
            &[
                (&answer.as_uuid(), Type::UUID),
                (&ids, Type::UUID_ARRAY),
                (&ordinals, Type::INT4_ARRAY),
                (&tools, Type::TEXT_ARRAY),
                (&inputs, Type::JSONB_ARRAY),
                (&writes, Type::BOOL_ARRAY),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(usize::try_from(stored) == Ok(calls.len()))
}

/// Takes the visitor's word on a call, once. `None` when there is no such call for this token.
pub async fn decide(
    connection: &ClientConnection,
    decision: &Decision<'_>,
) -> Result<Option<Decided>, ClientDbError> {
    if connection.schema_version() < STEPS_SINCE {
        return Ok(None);
    }
    let state = match decision.approved {
        true => ToolCallState::Approved,
        false => ToolCallState::Denied,
    };
    let rows = connection
        .query(
            "WITH asked AS (
                SELECT c.id
                FROM stoa.tool_calls c
                JOIN stoa.chat_messages m ON m.id = c.message_id
                JOIN stoa.chat_sessions s ON s.id = m.session_id
                WHERE c.id = $1 AND m.id = $2 AND s.token_hash = $3 AND c.writes
             ), decided AS (
                UPDATE stoa.tool_calls c
                SET state = $4, decided_at = $5
                FROM asked, stoa.chat_messages m
                WHERE c.id = asked.id AND c.state = 'asking'
                  AND m.id = c.message_id AND m.state = 'streaming'
                RETURNING c.id
             )
             SELECT EXISTS (SELECT FROM decided) AS counts FROM asked",
            &[
                (&decision.call.as_uuid(), Type::UUID),
                (&decision.message.as_uuid(), Type::UUID),
                (&decision.token_hash.as_bytes().as_slice(), Type::BYTEA),
                (&state.as_str(), Type::TEXT),
                (&decision.now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    one(&rows, |row| {
        Ok(match column(row, "counts")? {
            true => Decided::Now,
            false => Decided::Before,
        })
    })
}

/// How the calls of an answer stand.
pub async fn states(
    connection: &ClientConnection,
    answer: MessageId,
) -> Result<Vec<(ToolCallId, ToolCallState)>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT id, state FROM stoa.tool_calls WHERE message_id = $1 ORDER BY ordinal",
            &[(&answer.as_uuid(), Type::UUID)],
        )
        .await?;
    all(&rows, |row| {
        Ok((
            ToolCallId::from_uuid(column(row, "id")?),
            word(row, "state")?,
        ))
    })
}

/// Says that a call to which the visitor said yes is made now. False when it may not be.
pub async fn begin(connection: &ClientConnection, call: ToolCallId) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.tool_calls SET state = 'running' WHERE id = $1 AND state = 'approved'",
            &[(&call.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

/// Says that the visitor kept silent. False when a word came before.
pub async fn give_up(
    connection: &ClientConnection,
    call: ToolCallId,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.tool_calls SET state = 'abandoned', finished_at = $2
             WHERE id = $1 AND state = 'asking'",
            &[(&call.as_uuid(), Type::UUID), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(changed == 1)
}

/// Keeps what came of a call that was made. False when it does not run.
pub async fn finish(
    connection: &ClientConnection,
    call: ToolCallId,
    output: &str,
    error_code: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.tool_calls
             SET state = CASE WHEN $3::text IS NULL THEN 'done' ELSE 'failed' END,
                 output = $2, error_code = $3, finished_at = $4
             WHERE id = $1 AND state = 'running'",
            &[
                (&call.as_uuid(), Type::UUID),
                (&output, Type::TEXT),
                (&error_code, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Gives up every call of an answer that has no outcome.
pub async fn abandon(
    connection: &ClientConnection,
    answer: MessageId,
    now: DateTime<Utc>,
) -> Result<u64, ClientDbError> {
    connection
        .execute(
            "UPDATE stoa.tool_calls SET state = 'abandoned', finished_at = $2
             WHERE message_id = $1 AND state IN ('asking', 'approved', 'running')",
            &[(&answer.as_uuid(), Type::UUID), (&now, Type::TIMESTAMPTZ)],
        )
        .await
}

/// Gives up every call without an outcome whose answer is final: its process ended before it did.
pub async fn abandon_orphans(
    connection: &ClientConnection,
    now: DateTime<Utc>,
) -> Result<u64, ClientDbError> {
    if connection.schema_version() < STEPS_SINCE {
        return Ok(0);
    }
    connection
        .execute(
            "UPDATE stoa.tool_calls c SET state = 'abandoned', finished_at = $1
             FROM stoa.chat_messages m
             WHERE c.state IN ('asking', 'approved', 'running')
               AND m.id = c.message_id AND m.state = 'complete'",
            &[(&now, Type::TIMESTAMPTZ)],
        )
        .await
}
