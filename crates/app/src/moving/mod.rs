//! Moving an instance's database to another one while it is used: from the managed one to one of the
//! client's own, back, or on to another.
//!
//! [`begin`] notes the move; a job ([`work`]) carries it out with `stoa_client_db::moving`; [`switch`]
//! gives the instance its new address. The database that is left is closed, and kept until somebody
//! drops it ([`previous`]). `docs/adr/0013-moving-databases.md` says why it is safe to die at any
//! point.

mod begin;
mod give_up;
mod pause;
mod previous;
mod ready;
mod report;
mod run;
mod switch;
mod work;

use std::sync::Arc;

use stoa_client_db::moving::MovingError;
use stoa_client_db::{ClientDatabases, ClientDbError, DatabaseAddress, PooledConnection, Target};
use stoa_domain::seal::{SealError, SealPlace};
use stoa_domain::{InstanceId, MoveId};
use stoa_platform_db::{DbError, PgConnection, moves};

use crate::App;
use crate::access::ClientCaller;
use crate::database::{ConnectError, Connected, DatabaseError};
use crate::registry::RegistryError;

pub use begin::{To, begin, begin_for, call_off, call_off_for};
pub(crate) use pause::waited;
pub use previous::{Kept, drop_previous, drop_previous_for};
pub use stoa_platform_db::moves::{Ending, Move, MovePhase};
pub(crate) use switch::follow;
pub(crate) use work::{KIND, enqueue_forgotten, perform};

/// What came of asking for a move.
pub enum Begun {
    /// There was nothing to lose: the database is connected.
    Connected(Box<Connected>),
    /// A job carries it out.
    Moving(Box<Move>),
}

/// Why a move was not begun, called off or brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The new database was refused.
    #[error("the new database was refused")]
    Connect(#[from] ConnectError),
    /// There is no such instance.
    #[error("there is no such instance")]
    NoInstance,
    /// The instance has no move, or none that is under way.
    #[error("no move is under way")]
    None,
    /// It moves already.
    #[error("the database is being moved already")]
    UnderWay,
    /// It is on the platform's cluster already.
    #[error("the database is a managed one already")]
    IsManaged,
    /// There is no cluster for managed databases.
    #[error("no cluster for managed databases is configured")]
    NoCluster,
    /// The database that it left before is still kept.
    #[error("the database that was left before is still kept")]
    PreviousKept,
    /// The new database is the instance's own and holds something.
    #[error("the new database holds data already")]
    NotEmpty,
    /// No former database is kept.
    #[error("no former database is kept")]
    NothingKept,
    /// It is about to switch, or has.
    #[error("it is too late: the switch is under way or over")]
    TooLate,
    /// The address is the same place under another name.
    #[error("the former database is the one in use")]
    InUse,
    /// A database failed.
    #[error("a database failed")]
    Database(#[from] DatabaseError),
    /// A stored address does not open.
    #[error("an address could not be sealed or opened")]
    Sealed(#[from] SealError),
    /// The registry failed.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<ClientDbError> for MoveError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// An instance's latest move; `None` when it never moved.
///
/// # Errors
/// When the platform's database fails.
pub async fn latest(app: &App, caller: &ClientCaller) -> Result<Option<Move>, MoveError> {
    latest_of(app, caller.instance()).await
}

/// The same, for the platform's owner.
///
/// # Errors
/// When the platform's database fails.
pub async fn latest_for(
    app: &App,
    _caller: &crate::access::PlatformCaller,
    instance: InstanceId,
) -> Result<Option<Move>, MoveError> {
    latest_of(app, instance).await
}

async fn latest_of(app: &App, instance: InstanceId) -> Result<Option<Move>, MoveError> {
    let mut connection = app.platform().acquire().await?;
    Ok(moves::find_latest(&mut connection, instance).await?)
}

/// Refuses another address while a move is under way; credentials of the same place may change.
///
/// # Errors
/// `UnderWay`, or when the platform's database fails.
pub(crate) async fn require_none_under_way(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<(), ConnectError> {
    match moves::find_under_way(connection, instance).await? {
        None => Ok(()),
        Some(_) => Err(ConnectError::Moving),
    }
}

/// A connection of its own, beside the pools: a move holds it for as long as it copies.
async fn apart(
    app: &App,
    instance: InstanceId,
    address: &DatabaseAddress,
) -> Result<PooledConnection, ClientDbError> {
    let pools: ClientDatabases = app.clients().apart();
    let target = Target {
        instance,
        generation: 1,
        address: Arc::new(address.clone()),
    };
    pools.checkout(&target).await
}

/// Whether two addresses name the same database, whoever signs in.
pub(crate) fn same_place(one: &DatabaseAddress, other: &DatabaseAddress) -> bool {
    one.display_host() == other.display_host() && one.database() == other.database()
}

/// Where the address of a move's destination is sealed, until it is the instance's.
const fn destination_place(instance: InstanceId, id: MoveId) -> SealPlace {
    SealPlace {
        instance,
        table: "database_moves",
        column: "to_address_sealed",
        row: id.as_uuid(),
    }
}

/// Where the address of the database that was left is sealed.
const fn previous_place(instance: InstanceId, id: MoveId) -> SealPlace {
    SealPlace {
        instance,
        table: "database_moves",
        column: "previous_sealed",
        row: id.as_uuid(),
    }
}

/// A stable word for what kept a move from getting on, and a sentence without anything of what is
/// stored: a server's own words can quote a row, and these go into the platform's database.
fn told(error: &MovingError) -> (&'static str, String) {
    let side = |side: &str, error: &ClientDbError| match error {
        ClientDbError::Statement(said) => {
            format!(
                "the {side} database refused a statement (SQLSTATE {})",
                said.sqlstate
            )
        }
        ClientDbError::Unreadable { .. } | ClientDbError::Conflict { .. } => {
            format!(
                "the {side} database holds what cannot be moved ({})",
                error.code()
            )
        }
        error => format!("the {side} database: {error}"),
    };
    match error {
        MovingError::Source(error) => ("move_source_failed", side("present", error)),
        MovingError::Destination(error) => ("move_destination_failed", side("new", error)),
        MovingError::NotEmpty { .. } => ("move_destination_not_empty", error.to_string()),
        MovingError::Schema(_) => ("move_schema_differs", error.to_string()),
        MovingError::Differs { .. } => ("move_differs", error.to_string()),
        MovingError::InUse => ("move_tables_in_use", error.to_string()),
        MovingError::Superseded => ("move_taken_over", error.to_string()),
        MovingError::CalledOff => ("move_called_off", error.to_string()),
    }
}
