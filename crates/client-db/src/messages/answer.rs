//! An answer's way from empty to final.

use chrono::{DateTime, Utc};
use postgres_types::{ToSql, Type};
use stoa_domain::{ApiConfigurationId, EndUserId, FinishReason, MessageId, SessionId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    page::{Cursor, Page, PageRequest},
    row::{all, column},
    versioned::Versioned,
};

use super::STEPS_SINCE;

/// An answer as it ends.
#[derive(Debug, Clone)]
pub struct FinishedAnswer {
    /// The whole text, or what had arrived of it.
    pub content: String,
    /// Why it ended.
    pub reason: FinishReason,
    /// The code of the failure, when it ended with one.
    pub error_code: Option<String>,
    /// Its sources, in whatever shape the caller wants them back.
    pub sources: serde_json::Value,
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
    /// Whether it says that nothing was found.
    pub unanswered: bool,
    /// What happened between its words, likewise. Not kept in a schema that is one behind, nor is
    /// what it cost.
    pub steps: serde_json::Value,
    /// What it cost in millionths of the currency of prices, where that is known.
    pub cost_micros: Option<i64>,
    /// From the question to the first token, in milliseconds.
    pub first_token_ms: Option<i32>,
    /// From the question to the end, in milliseconds.
    pub total_ms: Option<i32>,
    /// Now.
    pub finished_at: DateTime<Utc>,
}

/// An answer that nobody was writing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterruptedAnswer {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub session_id: SessionId,
    /// How many characters had arrived.
    pub characters: i32,
}

/// What metering needs to know of a finished answer; none of it is content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeteredAnswer {
    /// Its id.
    pub id: MessageId,
    /// Its conversation.
    pub session_id: SessionId,
    /// Who asked, once known.
    pub end_user: Option<EndUserId>,
    /// Why it ended, as it is stored.
    pub finish_reason: Option<String>,
    /// Which provider answered.
    pub provider: Option<String>,
    /// Which model answered.
    pub model: Option<String>,
    /// Tokens read by the model.
    pub input_tokens: Option<i64>,
    /// Tokens written by the model.
    pub output_tokens: Option<i64>,
    /// What it cost in millionths of the currency of prices, where that is known.
    pub cost_micros: Option<i64>,
    /// How many characters it has.
    pub characters: i32,
    /// When it became final.
    pub finished_at: DateTime<Utc>,
}

/// Keeps the sources of an answer that is being written. False when it is final already.
pub async fn set_sources(
    connection: &ClientConnection,
    answer: MessageId,
    sources: &serde_json::Value,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.chat_messages SET sources = $2, updated_at = $3
             WHERE id = $1 AND state = 'streaming'",
            &[
                (&answer.as_uuid(), Type::UUID),
                (sources, Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Keeps what has arrived of an answer; its steps where there are new ones. False when it is final
/// already, or gone.
pub async fn save_partial(
    connection: &ClientConnection,
    answer: MessageId,
    content: &str,
    steps: Option<&serde_json::Value>,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    const SAVE: &str = "UPDATE stoa.chat_messages SET content = $2, updated_at = $3
         WHERE id = $1 AND state = 'streaming'";
    const SAVE_WITH_STEPS: &str =
        "UPDATE stoa.chat_messages SET content = $2, updated_at = $3, steps = $4
         WHERE id = $1 AND state = 'streaming'";
    let answer = answer.as_uuid();
    let usual: [(&(dyn ToSql + Sync), Type); 3] = [
        (&answer, Type::UUID),
        (&content, Type::TEXT),
        (&now, Type::TIMESTAMPTZ),
    ];
    let changed = match steps.filter(|_| connection.schema_version() >= STEPS_SINCE) {
        None => connection.execute_often(SAVE, &usual).await?,
        Some(steps) => {
            let [answer, content, now] = usual;
            let all = [answer, content, now, (steps, Type::JSONB)];
            connection.execute_often(SAVE_WITH_STEPS, &all).await?
        }
    };
    Ok(changed == 1)
}

macro_rules! finish {
    ($steps:literal, $parameters:literal) => {
        concat!(
            "UPDATE stoa.chat_messages
             SET state = 'complete', content = $2, finish_reason = $3, error_code = $4,
                 sources = $5, provider = $6, model = $7, api_configuration_id = $8,
                 input_tokens = $9, output_tokens = $10, first_token_ms = $11, total_ms = $12,
                 updated_at = $13, finished_at = $13, unanswered = $14",
            $steps,
            " WHERE id = $1 AND state = 'streaming'",
            $parameters,
        )
    };
}

/// The last two parameters are kept where there are columns for them, and only read in the schema
/// before.
const FINISH: Versioned = Versioned {
    before: finish!("", " AND ($15::jsonb IS NOT NULL OR $16::bigint IS NULL)"),
    since: (STEPS_SINCE, finish!(", steps = $15, cost_micros = $16", "")),
};

/// Makes an answer final, by compare-and-set: false when it was final already, or gone.
pub async fn finish(
    connection: &ClientConnection,
    answer: MessageId,
    end: &FinishedAnswer,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute_often(
            FINISH.on(connection),
            &[
                (&answer.as_uuid(), Type::UUID),
                (&end.content, Type::TEXT),
                (&end.reason.as_str(), Type::TEXT),
                (&end.error_code, Type::TEXT),
                (&end.sources, Type::JSONB),
                (&end.provider, Type::TEXT),
                (&end.model, Type::TEXT),
                (&end.api_configuration_id.map(|it| it.as_uuid()), Type::UUID),
                (&end.input_tokens, Type::INT8),
                (&end.output_tokens, Type::INT8),
                (&end.first_token_ms, Type::INT4),
                (&end.total_ms, Type::INT4),
                (&end.finished_at, Type::TIMESTAMPTZ),
                (&end.unanswered, Type::BOOL),
                (&end.steps, Type::JSONB),
                (&end.cost_micros, Type::INT8),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Makes final what has been `streaming` without a save since `older_than`: its writer is gone.
pub async fn interrupt_stale(
    connection: &ClientConnection,
    older_than: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<InterruptedAnswer>, ClientDbError> {
    let rows = connection
        .query(
            "UPDATE stoa.chat_messages
             SET state = 'complete', finish_reason = 'interrupted', updated_at = $2,
                 finished_at = $2
             WHERE id IN (
                 SELECT id FROM stoa.chat_messages
                 WHERE state = 'streaming' AND updated_at < $1
                 ORDER BY updated_at
                 LIMIT 500
                 FOR UPDATE SKIP LOCKED
             ) AND state = 'streaming'
             RETURNING id, session_id, pg_catalog.length(content) AS characters",
            &[(&older_than, Type::TIMESTAMPTZ), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    all(&rows, |row| {
        Ok(InterruptedAnswer {
            id: MessageId::from_uuid(column(row, "id")?),
            session_id: SessionId::from_uuid(column(row, "session_id")?),
            characters: column(row, "characters")?,
        })
    })
}

/// Makes this answer final if it has been `streaming` without a save since `older_than`. False when it
/// was not.
pub async fn interrupt_if_stale(
    connection: &ClientConnection,
    answer: MessageId,
    older_than: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.chat_messages
             SET state = 'complete', finish_reason = 'interrupted', updated_at = $3,
                 finished_at = $3
             WHERE id = $1 AND state = 'streaming' AND updated_at < $2",
            &[
                (&answer.as_uuid(), Type::UUID),
                (&older_than, Type::TIMESTAMPTZ),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

macro_rules! finished_since {
    ($or_with_steps:literal, $cost:literal) => {
        concat!(
            "SELECT m.id, m.session_id, s.end_user_id, m.finish_reason, m.provider, m.model,
                    m.input_tokens, m.output_tokens, pg_catalog.length(m.content) AS characters,
                    m.finished_at, ",
            $cost,
            " AS cost_micros
             FROM stoa.chat_messages m
             JOIN stoa.chat_sessions s ON s.id = m.session_id
             WHERE m.role = 'assistant' AND m.finished_at >= $1
               AND (m.error_code IS NULL OR m.finish_reason <> 'stop')
               AND (m.content <> ''",
            $or_with_steps,
            ") AND ($2::timestamptz IS NULL OR (m.finished_at, m.id) > ($2, $3))
             ORDER BY m.finished_at, m.id
             LIMIT $4"
        )
    };
}

const FINISHED_SINCE: Versioned = Versioned {
    before: finished_since!("", "NULL::bigint"),
    since: (
        STEPS_SINCE,
        finished_since!(" OR m.steps <> '[]'", "m.cost_micros"),
    ),
};

/// Answers with words or steps in them that became final at or after `since`, oldest first, for
/// reconciliation with metering; without those that only say that there is no budget for one.
pub async fn finished_since(
    connection: &ClientConnection,
    since: DateTime<Utc>,
    request: &PageRequest,
) -> Result<Page<MeteredAnswer>, ClientDbError> {
    let rows = connection
        .query(
            FINISHED_SINCE.on(connection),
            &[
                (&since, Type::TIMESTAMPTZ),
                (&request.after_time(), Type::TIMESTAMPTZ),
                (&request.after_id(), Type::UUID),
                (&request.rows_to_read(), Type::INT8),
            ],
        )
        .await?;
    let answers = all(&rows, read_metered)?;
    Ok(request.page(answers, |it| Cursor {
        at: it.finished_at,
        id: it.id.as_uuid(),
    }))
}

fn read_metered(row: &Row) -> Result<MeteredAnswer, ClientDbError> {
    Ok(MeteredAnswer {
        id: MessageId::from_uuid(column(row, "id")?),
        session_id: SessionId::from_uuid(column(row, "session_id")?),
        end_user: column::<Option<Uuid>>(row, "end_user_id")?.map(EndUserId::from_uuid),
        finish_reason: column(row, "finish_reason")?,
        provider: column(row, "provider")?,
        model: column(row, "model")?,
        input_tokens: column(row, "input_tokens")?,
        output_tokens: column(row, "output_tokens")?,
        cost_micros: column(row, "cost_micros")?,
        characters: column(row, "characters")?,
        finished_at: column(row, "finished_at")?,
    })
}
