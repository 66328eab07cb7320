//! Metering: one row per answered message, however often it is reported, and what it adds to the
//! ledger of budgets. No content.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, query_as, query_scalar};
use stoa_domain::{InstanceId, MessageId};

use crate::DbError;
use crate::budgets::Amount;
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
    /// What it cost in millionths of the currency of prices, if price and tokens are known.
    pub cost_micros: Option<i64>,
    /// What budgets count for it, which is never nothing for a call that was answered.
    pub spent: Spent,
}

/// What budgets count for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// So much, by whoever made the call.
    Known(Amount),
    /// What was reserved for it, where something was; else so much. For whoever finds an answer
    /// without knowing how it was made.
    Guessed(Amount),
}

impl Spent {
    const fn amount(self) -> Amount {
        match self {
            Self::Known(amount) | Self::Guessed(amount) => amount,
        }
    }
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
    /// What everything cost, as far as it is known, in millionths of the currency of prices.
    pub cost_micros: i64,
    /// How many events that took tokens are not in that: their cost is unknown.
    pub unknown_costs: i64,
}

/// Stores events and says how many of them were new. What the new ones spent is added to the ledger
/// of budgets, and what was reserved for them is taken off, in the same statement.
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
    let costs: Vec<_> = events.iter().map(|e| e.cost_micros).collect();
    let spent_tokens: Vec<_> = events.iter().map(|e| e.spent.amount().tokens).collect();
    let spent_micros: Vec<_> = events.iter().map(|e| e.spent.amount().micros).collect();
    let guessed: Vec<_> = events
        .iter()
        .map(|e| matches!(e.spent, Spent::Guessed(_)))
        .collect();
    // In the order of the keys, so that two reporters wait instead of deadlocking: a reservation goes
    // only after its event has come, and the sums are added to last.
    let recorded = query_scalar!(
        r#"WITH given AS (
               SELECT u.*
               FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::bigint[],
                           $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[])
                    AS u (instance_id, message_id, kind, occurred_at, model, input_tokens, output_tokens,
                          cost_micros, tokens, micros, is_guessed)
           ), new AS (
               INSERT INTO stoa_platform.usage_events
                   (instance_id, message_id, kind, occurred_at, model, input_tokens, output_tokens, cost_micros,
                    recorded_at)
               SELECT instance_id, message_id, kind, occurred_at, model, input_tokens, output_tokens, cost_micros, $12
               FROM given
               ORDER BY instance_id, message_id, kind
               ON CONFLICT ON CONSTRAINT usage_events_event_taken DO NOTHING
               RETURNING instance_id, message_id, kind, occurred_at
           ), settled AS (
               DELETE FROM stoa_platform.budget_reservations r
               USING new n
               WHERE (r.instance_id, r.message_id, r.kind) = (n.instance_id, n.message_id, n.kind)
               RETURNING r.instance_id, r.message_id, r.kind, r.end_user_hash, r.address_hash, r.tokens, r.micros
           ), spent AS (
               SELECT n.instance_id, n.occurred_at AT TIME ZONE 'UTC' AS at, s.end_user_hash, s.address_hash,
                      CASE WHEN g.is_guessed AND s.tokens IS NOT NULL THEN s.tokens ELSE g.tokens END AS tokens,
                      CASE WHEN g.is_guessed AND s.tokens IS NOT NULL THEN s.micros ELSE g.micros END AS micros
               FROM new n
               JOIN given g USING (instance_id, message_id, kind)
               LEFT JOIN settled s USING (instance_id, message_id, kind)
           ), counted AS (
               INSERT INTO stoa_platform.budget_counters AS c
                   (instance_id, period, starts_on, subject, subject_hash, tokens, micros, unknown_costs)
               SELECT e.instance_id, p.period, p.starts_on, s.subject, s.hash, sum(e.tokens),
                      coalesce(sum(e.micros), 0), count(*) FILTER (WHERE e.micros IS NULL)
               FROM spent e
               CROSS JOIN LATERAL (VALUES ('day', e.at::date), ('month', date_trunc('month', e.at)::date))
                   AS p (period, starts_on)
               CROSS JOIN LATERAL (VALUES ('instance', ''::bytea), ('end_user', e.end_user_hash),
                                           ('address', e.address_hash))
                   AS s (subject, hash)
               WHERE s.hash IS NOT NULL AND e.tokens > 0
               GROUP BY 1, 2, 3, 4, 5
               ORDER BY 1, 2, 3, 4, 5
               ON CONFLICT ON CONSTRAINT budget_counters_pkey DO UPDATE
                   SET tokens = c.tokens + excluded.tokens, micros = c.micros + excluded.micros,
                       unknown_costs = c.unknown_costs + excluded.unknown_costs
           )
           SELECT count(*) AS "recorded!" FROM new"#,
        &instances,
        &messages,
        &kinds,
        &times,
        &models,
        &input as &[Option<i64>],
        &output as &[Option<i64>],
        &costs as &[Option<i64>],
        &spent_tokens,
        &spent_micros as &[Option<i64>],
        &guessed,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(recorded).unwrap_or_default())
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
                  coalesce(sum(output_tokens), 0)::bigint AS "output_tokens!",
                  coalesce(sum(cost_micros), 0)::bigint AS "cost_micros!",
                  count(*) FILTER (WHERE cost_micros IS NULL) AS "unknown_costs!"
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
