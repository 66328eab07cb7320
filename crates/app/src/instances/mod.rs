//! Instances on the platform's side: made, found, changed, suspended, deleted.

pub mod admins;
pub mod api_keys;
pub mod create;
pub mod delete;
pub mod environment;
pub(crate) mod managed;
pub(crate) mod reclaim;
pub mod usage;

use std::sync::Arc;

use serde_json::json;
use stoa_client_db::ClientDbError;
use stoa_domain::{InstanceId, InstanceName, InstanceStatus, Slug};
use stoa_platform_db::instances::{self, Filter, Instance};
use stoa_platform_db::{DbError, Taken, plans};

use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};
use crate::database::ConnectError;
use crate::registry::RegistryError;

pub use stoa_platform_db::instances::Changes;

/// The longest reason of a suspension, in characters.
const LONGEST_REASON: usize = 500;

/// Why something was not done to an instance.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// There is no such instance, or no such thing in it.
    #[error("there is no such instance")]
    NotFound,
    /// Another instance has this slug.
    #[error("the slug “{0}” is taken")]
    SlugTaken(Slug),
    /// No instance may have this plan.
    #[error("there is no plan “{0}”")]
    UnknownPlan(String),
    /// A field is not right; the sentence is fit to show.
    #[error("{message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What would be right.
        message: String,
    },
    /// What was asked does not go with where the instance stands in its life.
    #[error("the instance is {0}")]
    Status(InstanceStatus),
    /// The deployment is dedicated to one instance, which the environment describes.
    #[error("this deployment is dedicated to one instance, which its environment describes")]
    Dedicated,
    /// No cluster for managed databases is configured.
    #[error("no cluster for managed databases is configured")]
    NoCluster,
    /// The managed database could not be made.
    #[error("the managed database could not be made")]
    Provisioning(#[source] ClientDbError),
    /// The managed database was made and cannot be used; says which check failed and what it found.
    #[error("the managed database cannot be used: {0}")]
    Unfit(String),
    /// The work was cut off, as happens at shutdown.
    #[error("the work was cut off")]
    CutOff,
    /// The client's own database was not connected, and the instance not made.
    #[error("the client's database was not connected")]
    Database(#[from] ConnectError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

/// Which instances are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only those with this status.
    pub status: Option<InstanceStatus>,
    /// Only those whose name or slug contains this.
    pub q: Option<String>,
    /// Only those after this one.
    pub after: Option<InstanceId>,
    /// At most so many.
    pub limit: u16,
}

/// A page of instances, the newest first, and whether there are more.
///
/// # Errors
/// When the platform's database fails.
pub async fn list(
    app: &App,
    _: &PlatformCaller,
    wanted: Wanted,
) -> Result<(Vec<Instance>, bool), InstanceError> {
    let filter = Filter {
        status: wanted.status,
        q: wanted.q.filter(|q| !q.is_empty()),
        after: wanted.after,
        limit: i64::from(wanted.limit) + 1,
    };
    let mut connection = app.platform().acquire().await?;
    let mut found = instances::list(&mut connection, &filter).await?;
    let more = found.len() > usize::from(wanted.limit);
    found.truncate(usize::from(wanted.limit));
    Ok((found, more))
}

/// The instance with this id.
///
/// # Errors
/// When there is none, or the platform's database fails.
pub async fn find(
    app: &App,
    _: &PlatformCaller,
    id: InstanceId,
) -> Result<Instance, InstanceError> {
    let mut connection = app.platform().acquire().await?;
    instances::find(&mut connection, id)
        .await?
        .ok_or(InstanceError::NotFound)
}

/// The instance with this slug.
///
/// # Errors
/// When there is none, or the platform's database fails.
pub async fn find_by_slug(
    app: &App,
    _: &PlatformCaller,
    slug: &Slug,
) -> Result<Instance, InstanceError> {
    let mut connection = app.platform().acquire().await?;
    instances::find_by_slug(&mut connection, slug)
        .await?
        .ok_or(InstanceError::NotFound)
}

/// How many instances have each status; a status that none has is left out.
///
/// # Errors
/// When the platform's database fails.
pub async fn count_by_status(
    app: &App,
    _: &PlatformCaller,
) -> Result<Vec<(InstanceStatus, i64)>, InstanceError> {
    let mut connection = app.platform().acquire().await?;
    Ok(instances::count_by_status(&mut connection).await?)
}

/// Changes name, slug, plan or region.
///
/// # Errors
/// When there is no such instance or it is being deleted, the slug is taken, the plan unknown, or
/// the platform's database fails.
pub async fn update(
    app: &App,
    caller: &PlatformCaller,
    id: InstanceId,
    changes: Changes,
) -> Result<Instance, InstanceError> {
    if let Some(region) = &changes.region {
        require_region(region)?;
    }
    if let Some(plan) = &changes.plan {
        require_plan(app, plan).await?;
    }
    let mut transaction = app.platform().begin().await?;
    let before = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    if before.status == InstanceStatus::Deleting {
        return Err(InstanceError::Status(before.status));
    }
    instances::update(&mut transaction, id, &changes)
        .await
        .map_err(|error| taken(error, changes.slug.as_ref(), changes.plan.as_deref()))?;
    let after = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    let details = difference(&before, &after);
    let deed = Deed::on_instance("instance.changed", id, details);
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    app.forget_instance(id).await;
    Ok(after)
}

/// Suspends an active instance: its chat says so in its own looks, and answers nothing.
///
/// # Errors
/// When there is no such instance, it is not active, the reason is missing, or the platform's
/// database fails.
pub async fn suspend(
    app: &Arc<App>,
    caller: &PlatformCaller,
    id: InstanceId,
    reason: &str,
) -> Result<Instance, InstanceError> {
    let reason = reason.trim();
    if !(1..=LONGEST_REASON).contains(&reason.chars().count()) {
        return Err(InstanceError::Invalid {
            field: "reason",
            message: format!("1 to {LONGEST_REASON} characters that say why"),
        });
    }
    let mut transaction = app.platform().begin().await?;
    let now = app.clock().now();
    let done = instances::suspend(&mut transaction, id, reason, now).await?;
    let after = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    if !done {
        return Err(InstanceError::Status(after.status));
    }
    let deed = Deed {
        reason: Some(reason),
        ..Deed::on_instance("instance.suspended", id, json!({}))
    };
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    app.forget_instance(id).await;
    Ok(after)
}

/// Lets a suspended instance go on.
///
/// # Errors
/// When there is no such instance, it is not suspended, or the platform's database fails.
pub async fn resume(
    app: &Arc<App>,
    caller: &PlatformCaller,
    id: InstanceId,
) -> Result<Instance, InstanceError> {
    let mut transaction = app.platform().begin().await?;
    let done = instances::resume(&mut transaction, id).await?;
    let after = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    if !done {
        return Err(InstanceError::Status(after.status));
    }
    let deed = Deed::on_instance("instance.resumed", id, json!({}));
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    app.forget_instance(id).await;
    Ok(after)
}

/// What the constraint that was hit says about the request.
fn taken(error: DbError, slug: Option<&Slug>, plan: Option<&str>) -> InstanceError {
    match (&error, slug) {
        (DbError::Taken(Taken::Slug), Some(slug)) => InstanceError::SlugTaken(slug.clone()),
        (DbError::UnknownPlan, _) => {
            InstanceError::UnknownPlan(plan.unwrap_or_default().to_owned())
        }
        _ => InstanceError::Platform(error),
    }
}

async fn require_plan(app: &App, code: &str) -> Result<(), InstanceError> {
    let mut connection = app.platform().acquire().await?;
    let plan = plans::find(&mut connection, code).await?;
    if plan.is_some_and(|plan| plan.archived_at.is_none()) {
        Ok(())
    } else {
        Err(InstanceError::UnknownPlan(code.to_owned()))
    }
}

/// Regions are the operator's own words, and plain ones.
fn require_region(region: &str) -> Result<(), InstanceError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&region.len()) && region.chars().all(plain) {
        return Ok(());
    }
    Err(InstanceError::Invalid {
        field: "region",
        message: "1 to 64 letters, digits, hyphens, underscores and dots, for example “eu-west”"
            .into(),
    })
}

fn difference(before: &Instance, after: &Instance) -> serde_json::Value {
    let mut changed = serde_json::Map::new();
    let mut note = |field: &str, from: Option<&str>, to: Option<&str>| {
        if from != to {
            changed.insert(field.to_owned(), json!({"from": from, "to": to}));
        }
    };
    note(
        "slug",
        Some(before.slug.as_str()),
        Some(after.slug.as_str()),
    );
    let name = InstanceName::as_str;
    note("name", Some(name(&before.name)), Some(name(&after.name)));
    note("plan", Some(&before.plan), Some(&after.plan));
    note("region", before.region.as_deref(), after.region.as_deref());
    changed.into()
}
