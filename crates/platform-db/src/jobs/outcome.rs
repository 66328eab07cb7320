//! What becomes of a job: still at it, done, failed, dead. A worker speaks for a job only while it
//! holds it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use stoa_domain::{InstanceId, JobId};

use super::{DeadJob, Failed, Held};
use crate::DbError;
use crate::signals::{self, Signal};

/// Keeps a job for another `lease`. `false` when the worker has lost it and must stop.
///
/// # Errors
/// When the database fails.
pub async fn heartbeat(
    connection: &mut PgConnection,
    held: Held,
    lease: TimeDelta,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.jobs SET lease_until = $3
         WHERE id = $1 AND fencing_token = $2 AND state = 'running'",
        held.id.as_uuid(),
        held.fencing_token,
        now + lease,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Marks a job as done. `false` when the worker has lost it: then whoever took it over finishes it.
/// In the transaction of the job's own effects, `false` is a reason to undo them.
///
/// # Errors
/// When the database fails.
pub async fn complete(
    connection: &mut PgConnection,
    held: Held,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.jobs SET state = 'done', finished_at = $3, last_error = NULL
         WHERE id = $1 AND fencing_token = $2 AND state = 'running'",
        held.id.as_uuid(),
        held.fencing_token,
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes a failure. With `retry_at` the job comes again then, unless this was its last attempt;
/// with `None` it is dead, since trying again would change nothing. `error` is for the operator
/// and must hold nothing of the client's content.
///
/// # Errors
/// When the database fails.
pub async fn fail(
    connection: &mut PgConnection,
    held: Held,
    error: &str,
    retry_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Failed, DbError> {
    let state = query_scalar!(
        "UPDATE stoa_platform.jobs
         SET state = CASE WHEN $4::timestamptz IS NULL OR attempt >= max_attempts THEN 'dead' ELSE 'queued' END,
             run_at = coalesce($4, run_at),
             finished_at = CASE WHEN $4::timestamptz IS NULL OR attempt >= max_attempts THEN $5::timestamptz END,
             last_error = left($3, 2000)
         WHERE id = $1 AND fencing_token = $2 AND state = 'running'
         RETURNING state",
        held.id.as_uuid(),
        held.fencing_token,
        error,
        retry_at,
        now,
    )
    .fetch_optional(connection)
    .await?;
    Ok(match state.as_deref() {
        None => Failed::Lost,
        Some("dead") => Failed::Dead,
        Some(_) => Failed::Retrying,
    })
}

/// Dead jobs, the latest first.
///
/// # Errors
/// When the database fails.
pub async fn list_dead(connection: &mut PgConnection, limit: i64) -> Result<Vec<DeadJob>, DbError> {
    let rows = query!(
        "SELECT id, kind, instance_id, payload, attempt, last_error, finished_at
         FROM stoa_platform.jobs WHERE state = 'dead' ORDER BY finished_at DESC, id DESC LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DeadJob {
            id: JobId::from_uuid(row.id),
            kind: row.kind,
            instance: row.instance_id.map(InstanceId::from_uuid),
            payload: row.payload,
            attempts: row.attempt,
            last_error: row.last_error,
            finished_at: row.finished_at,
        })
        .collect())
}

/// Gives a dead job all its attempts again. `false` when it is not dead, or another of its kind and
/// key waits already.
///
/// # Errors
/// When the database fails.
pub async fn retry_dead(
    connection: &mut PgConnection,
    id: JobId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.jobs j SET state = 'queued', attempt = 0, run_at = $2, finished_at = NULL
         WHERE j.id = $1 AND j.state = 'dead'
           AND NOT EXISTS (SELECT FROM stoa_platform.jobs o
                           WHERE o.kind = j.kind AND o.unique_key = j.unique_key AND o.state IN ('queued', 'running'))",
        id.as_uuid(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    signals::send_if(connection, done.rows_affected(), Signal::JobReady).await
}

/// Takes an instance's waiting jobs of these kinds out of the queue; those that run find out by
/// themselves.
///
/// # Errors
/// When the database fails.
pub async fn cancel_for_instance(
    connection: &mut PgConnection,
    instance: InstanceId,
    kinds: &[&str],
) -> Result<u64, DbError> {
    let kinds: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
    let done = query!(
        "DELETE FROM stoa_platform.jobs WHERE instance_id = $1 AND kind = ANY ($2) AND state = 'queued'",
        instance.as_uuid(),
        &kinds,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// How much lies in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Waiting and due.
    pub due: i64,
    /// Waiting for its time.
    pub scheduled: i64,
    /// Held by a worker.
    pub running: i64,
    /// Failed for good.
    pub dead: i64,
}

/// How much lies in the queue.
///
/// # Errors
/// When the database fails.
pub async fn queue_depth(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<QueueDepth, DbError> {
    Ok(query_as!(
        QueueDepth,
        r#"SELECT count(*) FILTER (WHERE state = 'queued' AND run_at <= $1) AS "due!",
                  count(*) FILTER (WHERE state = 'queued' AND run_at > $1) AS "scheduled!",
                  count(*) FILTER (WHERE state = 'running') AS "running!",
                  count(*) FILTER (WHERE state = 'dead') AS "dead!"
           FROM stoa_platform.jobs WHERE state <> 'done'"#,
        now,
    )
    .fetch_one(connection)
    .await?)
}

/// Clears away what was done, or died, before `before`.
///
/// # Errors
/// When the database fails.
pub async fn purge_finished(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<u64, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.jobs WHERE state IN ('done', 'dead') AND finished_at < $1",
        before,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
