//! Ending a move that has not moved anything: the present database is as it was before, and nothing
//! of the instance stays in the other.

use stoa_client_db::moving::{self, Departure, Plan};
use stoa_client_db::{ClientDbError, DatabaseAddress};
use stoa_domain::DatabaseMode;

use super::{Move, apart, ready, same_place};
use crate::App;
use crate::instances::managed;
use crate::registry::Registered;
use crate::work::JobError;

/// Takes down what the move made, and says so. What the present database refuses is tried again;
/// what the new one refuses stays in it, since it may be gone for good.
///
/// Gives `false` where the present database turns out to have been closed: then it has moved.
pub(super) async fn take_back(
    app: &App,
    registered: &Registered,
    found: &Move,
) -> Result<bool, JobError> {
    let retry = |error: ClientDbError| {
        JobError::Retry(format!(
            "the present database keeps its triggers: {}",
            error.code()
        ))
    };
    let Some(present) = registered.target() else {
        return Ok(true);
    };
    let mut source = apart(app, found.instance, &present.address)
        .await
        .map_err(retry)?;
    if moving::state(&source).await.map_err(retry)? == Departure::Departed(found.id) {
        return Ok(false);
    }
    moving::release(&mut source).await.map_err(retry)?;
    let plan = Plan::of(&source).await.map_err(retry)?;
    drop(source);
    let address = ready::open_destination(app, registered, found);
    let address = address.map_err(|error| JobError::Retry(error.to_string()))?;
    if let Some(address) = address
        && !same_place(&address, &present.address)
        && let Err(error) = empty(app, found, &address, &plan).await
    {
        tracing::warn!(
            instance = %found.instance,
            code = error.code(),
            "a database that an instance did not move to keeps what was copied",
        );
    }
    Ok(true)
}

async fn empty(
    app: &App,
    found: &Move,
    address: &DatabaseAddress,
    plan: &Plan,
) -> Result<(), ClientDbError> {
    if found.to_mode == DatabaseMode::Managed {
        return managed::drop_database(app, found.instance).await;
    }
    let mut destination = apart(app, found.instance, address).await?;
    if !moving::arrived_with(&destination, found.id).await? {
        return Ok(());
    }
    moving::take_down(&mut destination, plan, found.instance).await
}
