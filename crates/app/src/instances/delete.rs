//! Deleting an instance: its data key is destroyed with its registry row, a managed database is
//! dropped, an external one is the client's and stays untouched.
//!
//! The instance is `deleting` at once and for good. What remains is done right away and, should the
//! managed cluster not answer, again by a job that is enqueued in the same transaction.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::json;
use stoa_domain::{DatabaseMode, InstanceId, InstanceStatus, JobId};
use stoa_platform_db::jobs::{self, Job, NewJob};
use stoa_platform_db::{DbError, budgets, instances};

use super::{InstanceError, managed};
use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, By, Deed};
use crate::work::JobError;

/// The kind of job that finishes what was begun.
pub(crate) const KIND: &str = "instance.delete";
/// When the job first looks: by then the request itself has mostly done it all.
const JOB_AFTER: TimeDelta = TimeDelta::seconds(30);
/// With the queue's growing pauses this is more than a day.
const ATTEMPTS: i32 = 50;

/// How far a deletion came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Nothing of it is left.
    Whole,
    /// It is `deleting`, and the rest is done in the background.
    Begun,
}

/// Deletes an instance. Asking again while it is `deleting` tries again.
///
/// # Errors
/// When there is no such instance, or the platform's database fails.
pub async fn delete(
    app: &Arc<App>,
    caller: &PlatformCaller,
    id: InstanceId,
) -> Result<Deleted, InstanceError> {
    if app.settings().dedicated.is_some() {
        return Err(InstanceError::Dedicated);
    }
    let (worker, by) = (Arc::clone(app), By::from(caller));
    let work = app.tasks().spawn(async move {
        begin(&worker, by, id).await?;
        Ok::<_, InstanceError>(finish(&worker, id).await)
    });
    match work.await.map_err(|_| InstanceError::CutOff)?? {
        Ok(()) => Ok(Deleted::Whole),
        Err(error) => {
            tracing::warn!(instance = %id, %error, "an instance is deleted later");
            Ok(Deleted::Begun)
        }
    }
}

/// Does the rest of a deletion, as a job.
pub(crate) async fn perform(app: &Arc<App>, job: &Job) -> Result<(), JobError> {
    let instance = job
        .instance
        .ok_or_else(|| JobError::Hopeless("the job names no instance".into()))?;
    finish(app, instance).await.map_err(JobError::Retry)
}

async fn begin(app: &App, by: By, id: InstanceId) -> Result<(), InstanceError> {
    let mut transaction = app.platform().begin().await?;
    let now = app.clock().now();
    let instance = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    if !instances::start_deleting(&mut transaction, id, now).await? {
        return Ok(());
    }
    let job = NewJob {
        id: app.new_id(JobId::generate),
        kind: KIND.to_owned(),
        instance: Some(id),
        unique_key: id.to_string(),
        payload: json!({}),
        run_at: now + JOB_AFTER,
        priority: 0,
        max_attempts: ATTEMPTS,
        created_at: now,
    };
    jobs::enqueue(&mut transaction, &job).await?;
    let details = json!({
        "slug": instance.slug.as_str(),
        "name": instance.name.as_str(),
        "database": instance.database.mode.as_str(),
    });
    let deed = Deed::on_instance("instance.deleted", id, details);
    audit::record(app, &mut transaction, by, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    app.forget_instance(id).await;
    Ok(())
}

/// Idempotent: drops what is still there. The text of a failure is for the operator's log.
async fn finish(app: &App, id: InstanceId) -> Result<(), String> {
    let failed = |error: DbError| error.to_string();
    let found = {
        let mut connection = app.platform().acquire().await.map_err(failed)?;
        instances::find(&mut connection, id).await.map_err(failed)?
    };
    let Some(instance) = found else {
        return Ok(());
    };
    if instance.status != InstanceStatus::Deleting {
        return Err("the instance is not being deleted".into());
    }
    app.clients().forget(id);
    if instance.database.mode == DatabaseMode::Managed && app.settings().managed.is_none() {
        return Err("no cluster for managed databases is configured here".into());
    }
    // Also where the instance has moved to a database of the client's own: the empty one that it
    // began with is still on the cluster.
    managed::drop_database(app, id)
        .await
        .map_err(|error| error.to_string())?;
    let mut transaction = app.platform().begin().await.map_err(failed)?;
    instances::delete(&mut transaction, id)
        .await
        .map_err(failed)?;
    budgets::forget(&mut transaction, id)
        .await
        .map_err(failed)?;
    jobs::cancel_for_instance(&mut transaction, id, &[KIND])
        .await
        .map_err(failed)?;
    transaction
        .commit()
        .await
        .map_err(|error| failed(error.into()))?;
    app.forget_instance(id).await;
    Ok(())
}
