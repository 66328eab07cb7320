//! The fleet of clients' databases: all of them at the schema that this program writes, sooner or
//! later, and none of them at another's expense.
//!
//! A database is brought up to date when somebody first uses it (`stoa_client_db`'s pools do that),
//! by the sweep in the background, or by an operator's command. Whichever comes first does it; the
//! rows of the registry say who is at it and how it went.

mod attempt;
mod everyone;
mod news;
mod one;
mod plan;
mod sweep;

use std::time::Duration;

use stoa_client_db::{ClientDbError, SchemaTrouble};
use stoa_platform_db::DbError;

use crate::registry::RegistryError;

pub use everyone::{Failed, Progress, Report, bring_up_to_date};
pub use one::{migrate, plan_of};
pub use plan::{Plan, PlannedGroup, plan};
pub use stoa_client_db::{Migrations, SchemaChange};
pub use sweep::sweep_due;

pub(crate) use news::keep_account;
pub(crate) use sweep::run;

/// The schema version that this program was released with.
pub const LATEST: i32 = stoa_client_db::SCHEMA_VERSION;

/// How many databases an operator's command works on at once, unless told otherwise.
pub const AT_ONCE: usize = 4;

/// How long a database is held without a sign of life, and how often there is one. Short, so that
/// what a process held that was killed is free again soon.
const LEASE: Duration = Duration::from_secs(15);
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Why one client's database was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// There is no such instance.
    #[error("there is no such instance")]
    NotFound,
    /// It has no database yet, or is being deleted.
    #[error("the instance has no database to migrate")]
    Unset,
    /// Another process is at it.
    #[error("another process is migrating this database")]
    UnderWay,
    /// It could not be brought up to date.
    #[error("{}", .0.message)]
    Failed(SchemaTrouble),
    /// It could not be looked into.
    #[error("the client's database could not be looked into")]
    Database(#[from] ClientDbError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}
