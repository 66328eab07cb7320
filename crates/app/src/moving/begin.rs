//! Asking for a move, and calling it off.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use stoa_client_db::moving::{self as departure, Departure};
use stoa_client_db::{DatabaseAddress, holdings};
use stoa_domain::{DatabaseMode, InstanceId, JobId, MoveId};
use stoa_platform_db::instances::DatabaseFacts;
use stoa_platform_db::jobs::{self, NewJob};
use stoa_platform_db::moves::{self, Destination, Ending, NewMove};
use stoa_platform_db::{DbError, PgConnection};

use super::{Begun, KIND, Move, MoveError, apart, destination_place, same_place};
use crate::App;
use crate::access::{ClientCaller, PlatformCaller};
use crate::audit::{self, By, Deed};
use crate::database::{self, DatabaseError, NewAddress, seal_address_at};
use crate::registry::Registered;

/// With the queue's growing pauses this is about half a day of trying.
const ATTEMPTS: i32 = 20;

/// Where a database is to move.
pub enum To {
    /// To one of the client's own.
    External(NewAddress),
    /// To a new one on the platform's cluster.
    Managed,
}

/// Begins to move the caller's database. Where nothing would be left behind it is connected at
/// once; else a job carries the move out, and the database is used all the while.
///
/// # Errors
/// When the new database does not pass its check, a move is under way, or what was left before is
/// still kept.
pub async fn begin(app: &Arc<App>, caller: &ClientCaller, to: To) -> Result<Begun, MoveError> {
    let registered = Arc::clone(caller.registered());
    start(app, registered, to, By::from(caller)).await
}

/// The same, for the platform's owner.
///
/// # Errors
/// As [`begin`].
pub async fn begin_for(
    app: &Arc<App>,
    caller: &PlatformCaller,
    instance: InstanceId,
    to: To,
) -> Result<Begun, MoveError> {
    let registered = app.registered(instance).await?;
    let registered = registered.ok_or(MoveError::NoInstance)?;
    start(app, registered, to, By::from(caller)).await
}

/// Calls the caller's move off. The job takes down what it made; the data stays where it is.
///
/// # Errors
/// When none is under way, or it is too late.
pub async fn call_off(app: &App, caller: &ClientCaller) -> Result<Move, MoveError> {
    stop(app, caller.instance(), By::from(caller)).await
}

/// The same, for the platform's owner.
///
/// # Errors
/// As [`call_off`].
pub async fn call_off_for(
    app: &App,
    caller: &PlatformCaller,
    instance: InstanceId,
) -> Result<Move, MoveError> {
    stop(app, instance, By::from(caller)).await
}

async fn start(
    app: &Arc<App>,
    registered: Arc<Registered>,
    to: To,
    by: By,
) -> Result<Begun, MoveError> {
    if app.settings().dedicated.is_some() {
        return Err(database::ConnectError::Dedicated.into());
    }
    let destination = match to {
        To::Managed => require_managed(app, &registered)?,
        To::External(new) => {
            let (address, report) =
                database::accepted_from_client(app, registered.id(), &new).await?;
            if report.facts.own {
                require_fresh(app, &registered, &address).await?;
            }
            let loses_nothing = match registered.target() {
                None => true,
                Some(present) if same_place(&present.address, &address) => true,
                Some(_) => {
                    let connection = app.checkout(&registered).await?;
                    !holdings::holds_anything(&connection).await?
                }
            };
            if loses_nothing {
                let connected = database::connect_for(app, &registered, new, by).await?;
                return Ok(Begun::Connected(Box::new(connected)));
            }
            external(app, &registered, &new, &address, report.facts)?
        }
    };
    note(app, &registered, destination, by).await
}

/// A database that is the instance's already is moved to only if nothing is in it: what is there
/// would be mixed with what comes.
async fn require_fresh(
    app: &App,
    registered: &Registered,
    address: &DatabaseAddress,
) -> Result<(), MoveError> {
    let present = registered.target();
    if present.is_some_and(|present| same_place(&present.address, address)) {
        return Ok(());
    }
    let connection = apart(app, registered.id(), address).await?;
    if let Departure::Departed(_) = departure::state(&connection).await? {
        return Err(database::ConnectError::Departed.into());
    }
    if holdings::holds_anything(&connection).await? {
        return Err(MoveError::NotEmpty);
    }
    Ok(())
}

/// What is moved to, and under which id.
struct Wanted {
    id: MoveId,
    mode: DatabaseMode,
    destination: Destination,
}

fn require_managed(app: &App, registered: &Registered) -> Result<Wanted, MoveError> {
    let row = registered.row();
    if registered.target().is_none() {
        return Err(DatabaseError::Unset.into());
    }
    if row.database.mode == DatabaseMode::Managed {
        return Err(MoveError::IsManaged);
    }
    if app.settings().managed.is_none() {
        return Err(MoveError::NoCluster);
    }
    Ok(Wanted {
        id: app.new_id(MoveId::generate),
        mode: DatabaseMode::Managed,
        // The project that signs visitors in stays the same wherever the tables are.
        destination: Destination {
            supabase_url: row.supabase_url.clone(),
            supabase_sealed: row.supabase_sealed.clone(),
            ..Destination::default()
        },
    })
}

fn external(
    app: &App,
    registered: &Registered,
    new: &NewAddress,
    address: &DatabaseAddress,
    seen: stoa_client_db::preflight::Facts,
) -> Result<Wanted, MoveError> {
    let (instance, key) = (registered.id(), registered.key());
    let id = app.new_id(MoveId::generate);
    let sealed = seal_address_at(&destination_place(instance, id), address, key, app.random())?;
    Ok(Wanted {
        id,
        mode: DatabaseMode::External,
        destination: Destination {
            host: Some(address.display_host()),
            address_sealed: Some(sealed),
            facts: Some(DatabaseFacts {
                host: Some(address.display_host()),
                version: seen.version,
                pgvector: seen.pgvector,
                pooler: seen.pooler,
                schema_version: None,
            }),
            supabase_url: new.supabase.url.clone(),
            supabase_sealed: new.supabase.seal_keys(instance, key, app.random())?,
        },
    })
}

async fn note(
    app: &App,
    registered: &Registered,
    wanted: Wanted,
    by: By,
) -> Result<Begun, MoveError> {
    let (instance, now) = (registered.id(), app.clock().now());
    let present = &registered.row().database;
    let new = NewMove {
        id: wanted.id,
        instance,
        generation: present.generation,
        from_mode: present.mode,
        from_host: present.facts.host.clone(),
        to_mode: wanted.mode,
        to: wanted.destination,
        created_at: now,
    };
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    if !moves::insert(connection, &new).await? {
        return Err(why_not(connection, instance).await?);
    }
    enqueue(app, connection, new.id, instance, now).await?;
    let details = json!({
        "move": new.id,
        "from": new.from_mode,
        "to": new.to_mode,
        "host": new.to.host,
    });
    let deed = Deed::on_instance("instance.database_move_started", instance, details);
    audit::record(app, connection, by, deed).await?;
    let begun = moves::find(connection, new.id).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Begun::Moving(Box::new(begun.ok_or(MoveError::None)?)))
}

async fn why_not(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<MoveError, MoveError> {
    if moves::find_under_way(connection, instance).await?.is_some() {
        return Ok(MoveError::UnderWay);
    }
    if moves::find_kept(connection, instance).await?.is_some() {
        return Ok(MoveError::PreviousKept);
    }
    Ok(database::ConnectError::Changed.into())
}

pub(super) async fn enqueue(
    app: &App,
    connection: &mut PgConnection,
    id: MoveId,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let job = NewJob {
        id: app.new_id(JobId::generate),
        kind: KIND.to_owned(),
        instance: Some(instance),
        unique_key: id.to_string(),
        payload: json!({ "move": id }),
        run_at: now,
        priority: 0,
        max_attempts: ATTEMPTS,
        created_at: now,
    };
    jobs::enqueue(connection, &job).await
}

async fn stop(app: &App, instance: InstanceId, by: By) -> Result<Move, MoveError> {
    let now = app.clock().now();
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    let found = moves::find_under_way(connection, instance).await?;
    let id = found.ok_or(MoveError::None)?.id;
    if !moves::end_as(connection, id, Ending::Cancelled, KIND, now).await? {
        return Err(MoveError::TooLate);
    }
    let details = json!({ "move": id });
    let deed = Deed::on_instance("instance.database_move_cancelled", instance, details);
    audit::record(app, connection, by, deed).await?;
    let found = moves::find(connection, id).await?;
    transaction.commit().await.map_err(DbError::from)?;
    found.ok_or(MoveError::None)
}
