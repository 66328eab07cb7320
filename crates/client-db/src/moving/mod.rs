//! Moving what a client's database holds to another one, while it is used.
//!
//! The one that is moved away from is the source. Triggers in it note the keys of rows that change
//! ([`departure`]). All rows are copied from one snapshot of it, then those whose keys were noted,
//! round after round ([`rounds`]), so that after each round the destination equals one snapshot of
//! the source, which is proved by counts and checksums ([`verify`]). In the last round the source
//! is locked against writes; the transaction that holds the lock also closes it for good. That
//! commit is the point at which the move happens: before it the source is the database, after it
//! the destination is, and nothing was written in between.
//!
//! Only what a role of least privilege may do: it owns the schema `stoa` and what is in it.

mod arrival;
mod departure;
mod plan;
mod rounds;
mod take_down;
mod verify;

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use stoa_domain::MoveId;

use crate::{connection::ClientConnection, error::ClientDbError};

pub use arrival::{arrived_with, close as close_arrival, open as open_arrival};
pub use departure::{Departure, capture, release, state};
pub use plan::Plan;
pub use rounds::{Check, Round, catch_up, copy_everything, depart};
pub use take_down::take_down;

/// How long one statement of a move may take, and how long a copy may be silent.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a move did not get further.
#[derive(Debug, thiserror::Error)]
pub enum MovingError {
    /// The database that is moved away from failed.
    #[error("the present database failed")]
    Source(#[source] ClientDbError),
    /// The database that is moved to failed.
    #[error("the new database failed")]
    Destination(#[source] ClientDbError),
    /// The new database holds rows already, which would be mixed with those that come.
    #[error("the new database holds rows in {table} already")]
    NotEmpty {
        /// Where.
        table: String,
    },
    /// The two do not have the same tables.
    #[error("the two databases do not have the same tables: {0}")]
    Schema(String),
    /// What arrived is not what was sent.
    #[error("the rows of {table} are not the same in both databases")]
    Differs {
        /// Where.
        table: String,
    },
    /// Long statements of others keep the tables from being locked.
    #[error("the tables of the present database are in use by long transactions")]
    InUse,
    /// Another worker has taken this move over.
    #[error("another worker has taken this move over")]
    Superseded,
    /// Somebody asked for it to stop.
    #[error("the move was called off")]
    CalledOff,
}

impl MovingError {
    /// Whether the copy itself is to blame, so that beginning it anew may help.
    #[must_use]
    pub fn asks_for_a_new_copy(&self) -> bool {
        matches!(
            self,
            Self::Differs { .. } | Self::Destination(ClientDbError::Conflict { .. })
        )
    }
}

/// Who carries a move out: a later worker's `token` is higher, and an earlier one is then refused.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    /// Which move.
    pub id: MoveId,
    /// The worker's fencing token.
    pub token: i64,
}

/// How far a table has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProgress {
    /// Its name.
    pub table: String,
    /// Rows that have been copied.
    pub copied: u64,
    /// Rows there were when it began.
    pub of: u64,
}

/// How far a copy has come, for whoever watches, and whether it is to stop.
#[derive(Debug, Default)]
pub struct Progress {
    tables: Mutex<Vec<TableProgress>>,
    called_off: AtomicBool,
}

impl Progress {
    /// A copy of the state.
    #[must_use]
    pub fn tables(&self) -> Vec<TableProgress> {
        self.lock().clone()
    }

    /// Asks the copy to stop at the next row.
    pub fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
    }

    /// An error when somebody asked it to stop.
    ///
    /// # Errors
    ///
    /// `CalledOff`.
    pub fn go_on(&self) -> Result<(), MovingError> {
        if self.called_off.load(Ordering::Relaxed) {
            return Err(MovingError::CalledOff);
        }
        Ok(())
    }

    fn begin(&self, tables: Vec<TableProgress>) {
        *self.lock() = tables;
    }

    fn copied(&self, table: &str, rows: u64) {
        if let Some(found) = self.lock().iter_mut().find(|it| it.table == table) {
            found.copied = rows;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<TableProgress>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a connection the patience that a move needs: a table may take minutes to be added up.
pub fn be_patient(connection: &mut ClientConnection) {
    connection.set_statement_deadline(PATIENCE);
}

fn at_source(error: ClientDbError) -> MovingError {
    // lock_not_available, deadlock_detected
    match error.sqlstate() {
        Some("55P03" | "40P01") => MovingError::InUse,
        _ => MovingError::Source(error),
    }
}

fn at_destination(error: ClientDbError) -> MovingError {
    MovingError::Destination(error)
}
