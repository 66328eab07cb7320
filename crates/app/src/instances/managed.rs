//! Making and dropping managed databases.

use std::sync::Arc;

use stoa_client_db::preflight::{self, CheckStatus};
use stoa_client_db::{ClientDbError, DatabaseAddress, Deadlines, Target};
use stoa_domain::seal::DataKey;
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId};
use stoa_platform_db::instances::{DatabaseFacts, NewDatabase};

use super::{InstanceError, reclaim};
use crate::App;
use crate::database::seal_address;
use crate::registry::RegistryError;

/// The generation of an instance's first address.
const FIRST: i64 = 1;

/// Makes an instance's database, with its schema and its marker, and gives what the registry keeps.
///
/// On failure nothing of it stays, unless dropping it fails too, which is logged.
pub(crate) async fn make(
    app: &App,
    instance: InstanceId,
    key: &DataKey,
) -> Result<(NewDatabase, DatabaseAddress), InstanceError> {
    reclaim::plan(app, instance).await?;
    let made = try_to_make(app, instance, key).await;
    if made.is_err() {
        unmake(app, instance).await;
    }
    made
}

/// Drops a database that was made for an instance which does not come to be.
pub(crate) async fn unmake(app: &App, instance: InstanceId) {
    if let Err(error) = drop_database(app, instance).await {
        tracing::error!(%instance, %error, "a managed database that nobody needs could not be dropped");
    }
}

/// Closes the connections to an instance's managed database and drops it with its role.
pub(crate) async fn drop_database(app: &App, instance: InstanceId) -> Result<(), ClientDbError> {
    app.clients().forget(instance);
    match &app.settings().managed {
        Some(cluster) => cluster.drop(instance).await,
        None => Ok(()),
    }
}

async fn try_to_make(
    app: &App,
    instance: InstanceId,
    key: &DataKey,
) -> Result<(NewDatabase, DatabaseAddress), InstanceError> {
    let cluster = app.settings().managed.as_ref();
    let cluster = cluster.ok_or(InstanceError::NoCluster)?;
    let address = cluster
        .create(instance, app.random())
        .await
        .map_err(InstanceError::Provisioning)?;
    let mut facts = look_at(app, instance, &address).await?;
    let target = Target {
        instance,
        generation: FIRST,
        address: Arc::new(address.clone()),
    };
    // The first connection brings the schema and the marker.
    let apart = app.clients().apart();
    let connection = apart.checkout(&target).await;
    let connection = connection.map_err(InstanceError::Provisioning)?;
    facts.schema_version = Some(connection.schema_version());
    drop(connection);
    apart.forget(instance);
    let address_sealed = seal_address(&address, instance, key, app.random())
        .map_err(|source| RegistryError::Sealed { instance, source })?;
    let new = NewDatabase {
        mode: DatabaseMode::Managed,
        address_sealed,
        facts,
        state: DatabaseState::Ready,
        supabase_url: None,
        supabase_sealed: None,
    };
    Ok((new, address))
}

pub(crate) async fn look_at(
    app: &App,
    instance: InstanceId,
    address: &DatabaseAddress,
) -> Result<DatabaseFacts, InstanceError> {
    let deadlines = Deadlines::default();
    let report = preflight::check(app.outbound(), address, instance, deadlines, app.tasks()).await;
    if let Some(failed) = report
        .checks
        .iter()
        .find(|check| check.status == CheckStatus::Fail)
    {
        return Err(InstanceError::Unfit(format!(
            "{}: {}",
            failed.name, failed.detail
        )));
    }
    Ok(DatabaseFacts {
        host: report.facts.host,
        version: report.facts.version,
        pgvector: report.facts.pgvector,
        pooler: report.facts.pooler,
        schema_version: None,
    })
}
