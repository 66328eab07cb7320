//! Taking work out of the queue.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as};
use stoa_domain::{InstanceId, JobId};
use uuid::Uuid;

use super::{Claim, Held, Job};
use crate::DbError;

struct Row {
    id: Uuid,
    kind: String,
    instance_id: Option<Uuid>,
    payload: serde_json::Value,
    attempt: i32,
    max_attempts: i32,
    fencing_token: i64,
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        let id = JobId::from_uuid(row.id);
        Self {
            id,
            kind: row.kind,
            instance: row.instance_id.map(InstanceId::from_uuid),
            payload: row.payload,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            held: Held {
                id,
                fencing_token: row.fencing_token,
            },
        }
    }
}

/// Takes the jobs that are due, those of a worker whose lease is over included, the most urgent
/// first. A job that has taken a worker down on its last attempt is dead, not tried for ever.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    connection: &mut PgConnection,
    claim: &Claim<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Job>, DbError> {
    bury_abandoned(connection, now).await?;
    let kinds: Vec<String> = claim.kinds.iter().map(|&kind| kind.to_owned()).collect();
    let busy: Vec<Uuid> = claim.busy.iter().map(InstanceId::as_uuid).collect();
    let rows = query_as!(
        Row,
        r#"WITH due AS MATERIALIZED (
               SELECT id FROM stoa_platform.jobs
               WHERE state IN ('queued', 'running') AND due_at <= $1 AND kind = ANY ($2)
                 AND (instance_id IS NULL OR instance_id <> ALL ($3))
               ORDER BY priority DESC, due_at, id
               FOR UPDATE SKIP LOCKED
               LIMIT $4
           ), claimed AS (
               UPDATE stoa_platform.jobs j
               SET state = 'running', attempt = j.attempt + 1, worker = $5, lease_until = $6,
                   fencing_token = nextval('stoa_platform.job_fencing_tokens')
               FROM due WHERE j.id = due.id
               RETURNING j.id, j.kind, j.instance_id, j.payload, j.attempt, j.max_attempts, j.fencing_token,
                         j.priority, j.run_at
           )
           SELECT id, kind, instance_id, payload, attempt, max_attempts, fencing_token AS "fencing_token!"
           FROM claimed ORDER BY priority DESC, run_at, id"#,
        now,
        &kinds,
        &busy,
        claim.limit,
        claim.worker,
        now + claim.lease,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

async fn bury_abandoned(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.jobs
         SET state = 'dead', finished_at = $1,
             last_error = 'the worker vanished while it was at this job for the last time'
         WHERE id IN (SELECT id FROM stoa_platform.jobs
                      WHERE state = 'running' AND due_at <= $1 AND attempt >= max_attempts
                      FOR UPDATE SKIP LOCKED)",
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
