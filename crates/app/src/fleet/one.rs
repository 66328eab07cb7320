//! One client's database, at an operator's word.

use std::time::{Duration, Instant};

use serde_json::json;
use stoa_client_db::SchemaChange;
use stoa_domain::InstanceId;
use stoa_platform_db::DbError;
use stoa_platform_db::instances::{self, SchemaLease};

use super::attempt::{self, Outcome};
use super::plan::PlannedGroup;
use super::{FleetError, LEASE};
use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};
use crate::registry::Registered;

/// Longer than the lease of a process that was killed lasts.
const PATIENCE: Duration = LEASE.saturating_add(Duration::from_secs(3));
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Brings an instance's database up to date, whatever the registry knows of it.
///
/// # Errors
/// When there is none, another process is at it, or it fails; what is wrong is then with the
/// instance too.
pub async fn migrate(
    app: &App,
    caller: &PlatformCaller,
    id: InstanceId,
) -> Result<SchemaChange, FleetError> {
    let lease = hold(app, id).await?;
    let change = match attempt::carry_out(app, &lease).await? {
        Outcome::Done(change) => change,
        Outcome::Failed(trouble) => return Err(FleetError::Failed(trouble)),
        Outcome::GivenUp => return Err(FleetError::UnderWay),
    };
    if change.from != change.to {
        let mut transaction = app.platform().begin().await?;
        let details = json!({ "from": change.from, "to": change.to });
        let deed = Deed::on_instance("instance.database_migrated", id, details);
        audit::record(app, &mut transaction, caller, deed).await?;
        transaction.commit().await.map_err(DbError::from)?;
    }
    Ok(change)
}

/// What [`migrate`] would do. Looks into the client's database and changes nothing.
///
/// # Errors
/// When there is none, or it cannot be looked into.
pub async fn plan_of(
    app: &App,
    _: &PlatformCaller,
    id: InstanceId,
) -> Result<PlannedGroup, FleetError> {
    let registered = Registered::load(app, id).await?;
    let registered = registered.ok_or(FleetError::NotFound)?;
    let target = registered.target().ok_or(FleetError::Unset)?;
    let version = app.clients().schema_version(target).await?;
    let slug = registered.slug().to_string();
    let migrations = app.clients().migrations();
    Ok(PlannedGroup::new(version, vec![slug], migrations))
}

async fn hold(app: &App, id: InstanceId) -> Result<SchemaLease, FleetError> {
    let began = Instant::now();
    loop {
        let mut connection = app.platform().acquire().await?;
        let instance = instances::find(&mut connection, id).await?;
        let instance = instance.ok_or(FleetError::NotFound)?;
        if instance.database.address_sealed.is_none() || instance.deleting_at.is_some() {
            return Err(FleetError::Unset);
        }
        let (until, now) = (attempt::lease_end(app), app.clock().now());
        let lease = instances::claim_schema_of(&mut connection, id, until, now).await?;
        if let Some(lease) = lease {
            return Ok(lease);
        }
        drop(connection);
        if began.elapsed() > PATIENCE {
            return Err(FleetError::UnderWay);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
