//! Managed databases whose instance never came to be, because the process died in between.
//!
//! Before a database is made, a job is enqueued that drops it; the transaction that registers the
//! instance calls the job off.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use stoa_domain::{InstanceId, JobId};
use stoa_platform_db::jobs::{self, Job, NewJob};
use stoa_platform_db::{DbError, PgConnection, instances};

use super::managed;
use crate::App;
use crate::work::JobError;

/// The kind of job that drops what nobody owns.
pub(crate) const KIND: &str = "managed_database.reclaim";
/// Much longer than making an instance may take.
const AFTER: TimeDelta = TimeDelta::minutes(15);
const ATTEMPTS: i32 = 50;

/// Sees to it that a database which is about to be made does not stay without an owner.
pub(crate) async fn plan(app: &App, instance: InstanceId) -> Result<(), DbError> {
    let now = app.clock().now();
    let job = NewJob {
        id: app.new_id(JobId::generate),
        kind: KIND.to_owned(),
        instance: Some(instance),
        unique_key: instance.to_string(),
        payload: json!({}),
        run_at: now + AFTER,
        priority: 0,
        max_attempts: ATTEMPTS,
        created_at: now,
    };
    let mut transaction = app.platform().begin().await?;
    jobs::enqueue(&mut transaction, &job).await?;
    Ok(transaction.commit().await?)
}

/// The database has its owner, or is gone.
pub(crate) async fn call_off(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<(), DbError> {
    jobs::cancel_for_instance(connection, instance, &[KIND]).await?;
    Ok(())
}

/// Drops the database unless its instance is registered after all.
pub(crate) async fn perform(app: &Arc<App>, job: &Job) -> Result<(), JobError> {
    let instance = job
        .instance
        .ok_or_else(|| JobError::Hopeless("the job names no instance".into()))?;
    let retry = |error: &dyn std::error::Error| JobError::Retry(error.to_string());
    let registered = {
        let mut connection = app
            .platform()
            .acquire()
            .await
            .map_err(|error| retry(&error))?;
        instances::find(&mut connection, instance)
            .await
            .map_err(|error| retry(&error))?
    };
    if registered.is_some() {
        return Ok(());
    }
    tracing::warn!(%instance, "a managed database is dropped whose instance was never registered");
    managed::drop_database(app, instance)
        .await
        .map_err(|error| retry(&error))
}
