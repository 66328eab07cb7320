//! Putting work into the queue.

use sqlx::{PgConnection, query};

use super::NewJob;
use crate::DbError;
use crate::signals::{self, Signal};

/// Enqueues a job in the caller's transaction and wakes the workers when that commits. `false`
/// when a job of its kind and key waits or runs already.
///
/// # Errors
/// When the database fails.
pub async fn enqueue(connection: &mut PgConnection, new: &NewJob) -> Result<bool, DbError> {
    let done = query!(
        "INSERT INTO stoa_platform.jobs
             (id, kind, instance_id, unique_key, payload, run_at, priority, max_attempts, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (kind, unique_key) WHERE state IN ('queued', 'running') DO NOTHING",
        new.id.as_uuid(),
        new.kind,
        new.instance.map(|id| id.as_uuid()),
        new.unique_key,
        new.payload,
        new.run_at,
        new.priority,
        new.max_attempts,
        new.created_at,
    )
    .execute(&mut *connection)
    .await?;
    signals::send_if(connection, done.rows_affected(), Signal::JobReady).await
}
