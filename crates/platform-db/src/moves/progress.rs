//! How a move gets on.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, query, query_scalar};
use stoa_domain::{InstanceId, MoveId};

use super::{Ending, MovePhase, announce};
use crate::DbError;
use crate::instances::DatabaseFacts;
use crate::signals::{self, Signal};

/// Takes a move one phase further. `false` when it has been given up, or is past that already.
///
/// # Errors
/// When the database fails.
pub async fn advance(
    connection: &mut PgConnection,
    id: MoveId,
    to: MovePhase,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.database_moves
         SET phase = $2, started_at = coalesce(started_at, $3)
         WHERE id = $1 AND ends_as IS NULL AND phase NOT IN ('switched', 'done', 'cancelled', 'failed')",
        id.as_uuid(),
        to.as_str(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes where the new database is and what was seen of it.
///
/// # Errors
/// When the database fails.
pub async fn note_destination(
    connection: &mut PgConnection,
    id: MoveId,
    address_sealed: &[u8],
    facts: &DatabaseFacts,
) -> Result<bool, DbError> {
    let seen = serde_json::to_value(facts).unwrap_or_default();
    let done = query!(
        "UPDATE stoa_platform.database_moves
         SET to_address_sealed = $2, to_facts = $3, to_host = $4
         WHERE id = $1 AND phase IN ('queued', 'preparing')",
        id.as_uuid(),
        address_sealed,
        seen,
        facts.host,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes the rows that have been copied; says whether the move has been given up.
///
/// # Errors
/// When the database fails.
pub async fn note_progress(
    connection: &mut PgConnection,
    id: MoveId,
    progress: &Value,
) -> Result<bool, DbError> {
    let given_up = query_scalar!(
        r#"UPDATE stoa_platform.database_moves
           SET progress = CASE WHEN $2 = '[]'::jsonb THEN progress ELSE $2 END
           WHERE id = $1 RETURNING ends_as IS NOT NULL AS "given_up!""#,
        id.as_uuid(),
        progress,
    )
    .fetch_optional(connection)
    .await?;
    Ok(given_up.unwrap_or(true))
}

/// Notes what went wrong, or that nothing is wrong any more.
///
/// # Errors
/// When the database fails.
pub async fn note_error(
    connection: &mut PgConnection,
    id: MoveId,
    error: Option<(&str, &str)>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.database_moves SET error_code = $2, error = left($3, 1000) WHERE id = $1",
        id.as_uuid(),
        error.map(|(code, _)| code),
        error.map(|(_, text)| text),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives a move up: the job takes down what it made. `false` when it is too late, because the
/// switch is under way or over. A job that rests until a later try is woken.
///
/// # Errors
/// When the database fails.
pub async fn end_as(
    connection: &mut PgConnection,
    id: MoveId,
    ending: Ending,
    kind: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.database_moves SET ends_as = coalesce(ends_as, $2)
         WHERE id = $1 AND phase IN ('queued', 'preparing', 'copying', 'catching_up')",
        id.as_uuid(),
        ending.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let woken = query!(
        "UPDATE stoa_platform.jobs SET run_at = $3 WHERE kind = $1 AND unique_key = $2 AND state = 'queued'",
        kind,
        id.to_string(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    signals::send_if(connection, woken.rows_affected(), Signal::JobReady).await?;
    Ok(true)
}

/// Notes that a move is over.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    connection: &mut PgConnection,
    id: MoveId,
    phase: MovePhase,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.database_moves
         SET phase = $2, finished_at = $3, to_address_sealed = NULL, to_supabase_sealed = NULL
         WHERE id = $1 AND phase NOT IN ('done', 'cancelled', 'failed')",
        id.as_uuid(),
        phase.as_str(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets nobody take a connection to the instance's database until then, or everybody again.
///
/// # Errors
/// When the database fails.
pub async fn pause(
    connection: &mut PgConnection,
    instance: InstanceId,
    until: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.chat_instances SET database_paused_until = $2 WHERE id = $1",
        instance.as_uuid(),
        until,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, instance).await
}
