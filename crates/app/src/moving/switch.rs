//! The switch: one transaction in the platform's database gives the instance its new address.
//!
//! The move itself happens before, when the database that is left is closed. From then on whoever
//! finds it closed may do the rest: the job, or a replica whose visitor came just then.

use serde_json::json;
use stoa_client_db::moving::{self, Departure};
use stoa_domain::{DatabaseState, InstanceId};
use stoa_platform_db::instances::{self, NewDatabase};
use stoa_platform_db::moves::{self, MovePhase};
use stoa_platform_db::{DbError, PgConnection};

use super::{Move, MoveError, apart, previous_place, ready};
use crate::App;
use crate::audit::{self, By, Deed};
use crate::database::{ConnectError, DatabaseError, seal_address, seal_address_at};
use crate::registry::Registered;

/// Follows a database that says it was moved away from. When it returns, the registry leads to
/// another one.
///
/// # Errors
/// When the registry leads to no other: then the instance was given a database that it had left.
pub(crate) async fn follow(app: &App, instance: InstanceId) -> Result<(), DatabaseError> {
    app.forget_instance(instance).await;
    let moved = || DatabaseError::Failed(stoa_client_db::ClientDbError::Moved);
    let registered = app.registered(instance).await?.ok_or_else(moved)?;
    let found = {
        let platform = |error| DatabaseError::Registry(crate::RegistryError::Platform(error));
        let mut connection = app.platform().acquire().await.map_err(platform)?;
        moves::find_under_way(&mut connection, instance)
            .await
            .map_err(platform)?
    };
    let Some(found) = found.filter(|it| it.phase != MovePhase::Switched) else {
        return Ok(());
    };
    let target = registered.target().ok_or_else(moved)?;
    let connection = apart(app, instance, &target.address).await?;
    if moving::state(&connection).await? != Departure::Departed(found.id) {
        return Ok(());
    }
    drop(connection);
    match switch(app, &registered, &found).await {
        Ok(()) => {}
        Err(MoveError::Database(error)) => return Err(error),
        Err(MoveError::Registry(error)) => return Err(error.into()),
        // Somebody else has done it just now, or the next visitor tries again.
        Err(error) => tracing::warn!(%instance, %error, "a moved database was not followed"),
    }
    app.forget_instance(instance).await;
    Ok(())
}

/// Gives the instance its new address. The source must have been found closed by this move.
///
/// # Errors
/// `Changed` when somebody else was faster.
pub(super) async fn switch(
    app: &App,
    registered: &Registered,
    found: &Move,
) -> Result<(), MoveError> {
    let (instance, key, now) = (registered.id(), registered.key(), app.clock().now());
    let changed = || MoveError::from(ConnectError::Changed);
    let address = ready::open_destination(app, registered, found).map_err(|error| *error)?;
    let address = address.ok_or_else(changed)?;
    let left = registered.target().ok_or_else(changed)?;
    let new = NewDatabase {
        mode: found.to_mode,
        address_sealed: seal_address(&address, instance, key, app.random())?,
        facts: found.to.facts.clone().unwrap_or_default(),
        state: DatabaseState::Ready,
        supabase_url: found.to.supabase_url.clone(),
        supabase_sealed: found.to.supabase_sealed.clone(),
    };
    let place = previous_place(instance, found.id);
    let previous = seal_address_at(&place, &left.address, key, app.random())?;
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    // The row of the move first: of two that do this, one waits here and finds it done.
    if !moves::switch(connection, found, &previous, now).await? {
        return Err(changed());
    }
    let generation = instances::set_database(connection, instance, &new, now).await?;
    if generation != Some(registered.row().database.generation + 1) {
        return Err(changed());
    }
    let details = json!({
        "move": found.id,
        "from": found.from_mode,
        "to": found.to_mode,
        "host": new.facts.host,
    });
    let deed = Deed::on_instance("instance.database_moved", instance, details);
    audit::record(app, connection, By::system(), deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    app.forget_instance(instance).await;
    app.clients().forget(instance);
    Ok(())
}
