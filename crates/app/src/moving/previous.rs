//! The database that was left: kept as it was, closed to writers, until somebody drops it.

use std::sync::Arc;

use serde_json::json;
use stoa_client_db::moving::{self, Departure, Plan};
use stoa_domain::{DatabaseMode, InstanceId};
use stoa_platform_db::{DbError, PgConnection, moves};

use super::{Move, MoveError, MovePhase, apart, previous_place, same_place};
use crate::App;
use crate::access::{ClientCaller, PlatformCaller};
use crate::audit::{self, By, Deed};
use crate::instances::managed;
use crate::registry::{Registered, open_address};

/// What becomes of the former database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is dropped: a managed one whole, of one of the client's own what is the platform's.
    Drop,
    /// It stays as it is, and is not spoken of any more: it may be gone already.
    Forget,
}

/// Drops the caller's former database.
///
/// # Errors
/// When none is kept, a move is not over yet, or it cannot be reached.
pub async fn drop_previous(
    app: &Arc<App>,
    caller: &ClientCaller,
    kept: Kept,
) -> Result<Move, MoveError> {
    let registered = Arc::clone(caller.registered());
    remove(app, &registered, kept, By::from(caller)).await
}

/// The same, for the platform's owner.
///
/// # Errors
/// As [`drop_previous`].
pub async fn drop_previous_for(
    app: &Arc<App>,
    caller: &PlatformCaller,
    instance: InstanceId,
    kept: Kept,
) -> Result<Move, MoveError> {
    let registered = app.registered(instance).await?;
    let registered = registered.ok_or(MoveError::NoInstance)?;
    remove(app, &registered, kept, By::from(caller)).await
}

async fn remove(app: &App, registered: &Registered, kept: Kept, by: By) -> Result<Move, MoveError> {
    let instance = registered.id();
    let found = {
        let mut connection = app.platform().acquire().await?;
        moves::find_kept(&mut connection, instance).await?
    };
    let found = found.ok_or(MoveError::NothingKept)?;
    if found.phase != MovePhase::Done {
        return Err(MoveError::UnderWay);
    }
    if kept == Kept::Drop || found.from_mode == DatabaseMode::Managed {
        take_down(app, registered, &found).await?;
    }
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    if !moves::drop_previous(connection, found.id, app.clock().now()).await? {
        return Err(MoveError::NothingKept);
    }
    let details = json!({
        "move": found.id,
        "mode": found.from_mode,
        "host": found.from_host,
        "dropped": kept == Kept::Drop,
    });
    let deed = Deed::on_instance("instance.previous_database_dropped", instance, details);
    audit::record(app, connection, by, deed).await?;
    let found = moves::find(connection, found.id).await?;
    transaction.commit().await.map_err(DbError::from)?;
    found.ok_or(MoveError::None)
}

/// Twice does no harm: what is gone already is not missed.
async fn take_down(app: &App, registered: &Registered, found: &Move) -> Result<(), MoveError> {
    let instance = registered.id();
    let sealed = found
        .previous_sealed
        .as_ref()
        .ok_or(MoveError::NothingKept)?;
    let place = previous_place(instance, found.id);
    let address = open_address(app, registered, &place, sealed, found.from_mode)?;
    let present = registered.target();
    if present.is_some_and(|present| same_place(&present.address, &address)) {
        return Err(MoveError::InUse);
    }
    if found.from_mode == DatabaseMode::Managed {
        return Ok(managed::drop_database(app, instance).await?);
    }
    let mut previous = apart(app, instance, &address).await?;
    if moving::state(&previous).await? != Departure::Departed(found.id) {
        // Somebody has emptied it by hand; connecting has made our tables anew.
        tracing::info!(%instance, "the former database was not as it was left");
    }
    let plan = Plan::of(&*app.checkout(registered).await?).await?;
    moving::take_down(&mut previous, &plan, instance).await?;
    Ok(())
}
