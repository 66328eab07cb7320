//! Metering: one row per answered message, however often it is reported. No content.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use stoa_domain::{InstanceId, MessageId};

use crate::DbError;
use crate::stored::words;

words! {
    /// What was metered.
    UsageKind {
        /// An answer in a conversation.
        Answer = "answer",
        /// A completion over the OpenAI-compatible API.
        Completion = "completion",
        /// The summary of a long conversation. It takes tokens and is no message.
        Summary = "summary",
        /// Vectors over the OpenAI-compatible API. They take tokens and are no message.
        Embedding = "embedding",
    }
}

/// One answered message.
#[derive(Clone, Debug)]
pub struct UsageEvent {
    /// Whose.
    pub instance: InstanceId,
    /// The answer's id in the client's own database, so that a bill can be checked there.
    pub message: MessageId,
    /// What was metered.
    pub kind: UsageKind,
    /// When it was answered.
    pub occurred_at: DateTime<Utc>,
    /// The model that answered.
    pub model: String,
    /// What it read, if the provider said: unknown is not none.
    pub input_tokens: Option<i64>,
    /// What it wrote, if the provider said.
    pub output_tokens: Option<i64>,
}

/// A day's sum; the day is UTC's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageDay {
    /// The day.
    pub day: NaiveDate,
    /// Answered messages: those of conversations and those of programs.
    pub messages: i64,
    /// Tokens read, where the provider said.
    pub input_tokens: i64,
    /// Tokens written, where the provider said.
    pub output_tokens: i64,
}

/// Stores events and says how many of them were new.
///
/// # Errors
/// When the database fails.
pub async fn record(
    connection: &mut PgConnection,
    events: &[UsageEvent],
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    if events.is_empty() {
        return Ok(0);
    }
    let instances: Vec<_> = events.iter().map(|e| e.instance.as_uuid()).collect();
    let messages: Vec<_> = events.iter().map(|e| e.message.as_uuid()).collect();
    let kinds: Vec<_> = events.iter().map(|e| e.kind.as_str().to_owned()).collect();
    let times: Vec<_> = events.iter().map(|e| e.occurred_at).collect();
    let models: Vec<_> = events.iter().map(|e| e.model.clone()).collect();
    let input: Vec<_> = events.iter().map(|e| e.input_tokens).collect();
    let output: Vec<_> = events.iter().map(|e| e.output_tokens).collect();
    // In the order of the key, so that two reporters of the same events wait instead of deadlocking.
    let done = query!(
        "INSERT INTO stoa_platform.usage_events
             (instance_id, message_id, kind, occurred_at, model, input_tokens, output_tokens, recorded_at)
         SELECT u.*, $8::timestamptz
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::bigint[], $7::bigint[])
              AS u (instance_id, message_id, kind, occurred_at, model, input_tokens, output_tokens)
         ORDER BY u.instance_id, u.message_id, u.kind
         ON CONFLICT ON CONSTRAINT usage_events_event_taken DO NOTHING",
        &instances,
        &messages,
        &kinds,
        &times,
        &models,
        &input as &[Option<i64>],
        &output as &[Option<i64>],
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Which of these answers are counted for another instance. Only instances that share a database have
/// answers in common, which the operator has to allow; hence there is no index for it.
///
/// # Errors
/// When the database fails.
pub async fn counted_for_others(
    connection: &mut PgConnection,
    instance: InstanceId,
    messages: &[MessageId],
) -> Result<Vec<MessageId>, DbError> {
    let messages: Vec<_> = messages.iter().map(|id| id.as_uuid()).collect();
    let found = query_scalar!(
        "SELECT message_id FROM stoa_platform.usage_events
         WHERE message_id = ANY ($2) AND instance_id <> $1",
        instance.as_uuid(),
        &messages,
    )
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(MessageId::from_uuid).collect())
}

/// An instance's usage by day, from `from` to `to` inclusive; days without any are left out.
///
/// # Errors
/// When the database fails.
pub async fn sum_by_day(
    connection: &mut PgConnection,
    instance: InstanceId,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<UsageDay>, DbError> {
    Ok(query_as!(
        UsageDay,
        r#"SELECT (occurred_at AT TIME ZONE 'UTC')::date AS "day!", count(*) FILTER (WHERE kind IN ('answer', 'completion')) AS "messages!",
                  coalesce(sum(input_tokens), 0)::bigint AS "input_tokens!",
                  coalesce(sum(output_tokens), 0)::bigint AS "output_tokens!"
           FROM stoa_platform.usage_events
           WHERE instance_id = $1
             AND occurred_at >= $2::date::timestamp AT TIME ZONE 'UTC'
             AND occurred_at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'
           GROUP BY 1 ORDER BY 1"#,
        instance.as_uuid(),
        from,
        to,
    )
    .fetch_all(connection)
    .await?)
}
