//! Moves of clients' databases: one at a time for each instance, carried out by a job, and the
//! database that was left, which is kept until somebody drops it.

mod progress;
mod queries;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use stoa_domain::{DatabaseMode, InstanceId, MoveId};
use uuid::Uuid;

use crate::DbError;
use crate::instances::DatabaseFacts;
use crate::signals::{self, Signal};
use crate::stored::{self, words};

pub use progress::{advance, end_as, finish, note_destination, note_error, note_progress, pause};
pub use queries::{
    NewMove, drop_previous, find, find_kept, find_latest, find_under_way, insert, switch,
    without_job,
};

words! {
    /// How far a move has come.
    MovePhase {
        /// It waits for a worker.
        Queued = "queued",
        /// The new database is made ready.
        Preparing = "preparing",
        /// Everything is copied.
        Copying = "copying",
        /// What changed meanwhile is brought over.
        CatchingUp = "catching_up",
        /// The present database is closed, and the new one takes its place.
        Switching = "switching",
        /// The new one is in use; the last traces are taken away.
        Switched = "switched",
        /// It is over, and the data is in the new database.
        Done = "done",
        /// It was called off; the data is where it was.
        Cancelled = "cancelled",
        /// It could not be carried out; the data is where it was.
        Failed = "failed",
    }

    /// How a move ends that has not moved anything.
    Ending {
        /// Somebody called it off.
        Cancelled = "cancelled",
        /// It could not be carried out.
        Failed = "failed",
    }
}

impl MovePhase {
    /// Whether there is nothing left to do.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed)
    }
}

/// A move.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its id.
    pub id: MoveId,
    /// Whose database.
    pub instance: InstanceId,
    /// How far it has come.
    pub phase: MovePhase,
    /// Whose cluster the database that is left is on.
    pub from_mode: DatabaseMode,
    /// Its host, to show.
    pub from_host: Option<String>,
    /// Whose cluster the new one is on.
    pub to_mode: DatabaseMode,
    /// The new one, as far as it is known.
    pub to: Destination,
    /// The address of the one that was left, sealed, while it is kept.
    pub previous_sealed: Option<Vec<u8>>,
    /// When it was dropped.
    pub previous_dropped_at: Option<DateTime<Utc>>,
    /// A list of tables with their rows.
    pub progress: Value,
    /// What went wrong last: a stable word.
    pub error_code: Option<String>,
    /// The same, in a sentence.
    pub error: Option<String>,
    /// How it is to end, once it has been given up.
    pub ends_as: Option<Ending>,
    /// When somebody asked for it.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// Since when the new one is in use.
    pub switched_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

/// The database that is moved to.
#[derive(Clone, Debug, Default)]
pub struct Destination {
    /// Its host, to show.
    pub host: Option<String>,
    /// Its address, sealed.
    pub address_sealed: Option<Vec<u8>>,
    /// What was seen of it.
    pub facts: Option<DatabaseFacts>,
    /// The address of the client's Supabase project, if it has one.
    pub supabase_url: Option<String>,
    /// The project's keys, sealed for the registry.
    pub supabase_sealed: Option<Vec<u8>>,
}

pub(crate) struct MoveRow {
    id: Uuid,
    instance_id: Uuid,
    phase: String,
    from_mode: String,
    from_host: Option<String>,
    to_mode: String,
    to_host: Option<String>,
    to_address_sealed: Option<Vec<u8>>,
    to_facts: Option<Value>,
    to_supabase_url: Option<String>,
    to_supabase_sealed: Option<Vec<u8>>,
    previous_sealed: Option<Vec<u8>>,
    previous_dropped_at: Option<DateTime<Utc>>,
    progress: Value,
    error_code: Option<String>,
    error: Option<String>,
    ends_as: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    switched_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<MoveRow> for Move {
    type Error = DbError;

    fn try_from(row: MoveRow) -> Result<Self, DbError> {
        let facts = row.to_facts.map(serde_json::from_value).transpose();
        let ending = |word: String| stored::word("ends_as", &word);
        Ok(Self {
            id: MoveId::from_uuid(row.id),
            instance: InstanceId::from_uuid(row.instance_id),
            phase: stored::word("phase", &row.phase)?,
            from_mode: stored::word("from_mode", &row.from_mode)?,
            from_host: row.from_host,
            to_mode: stored::word("to_mode", &row.to_mode)?,
            to: Destination {
                host: row.to_host,
                address_sealed: row.to_address_sealed,
                facts: facts.map_err(stored::not_understood("to_facts"))?,
                supabase_url: row.to_supabase_url,
                supabase_sealed: row.to_supabase_sealed,
            },
            previous_sealed: row.previous_sealed,
            previous_dropped_at: row.previous_dropped_at,
            progress: row.progress,
            error_code: row.error_code,
            error: row.error,
            ends_as: row.ends_as.map(ending).transpose()?,
            created_at: row.created_at,
            started_at: row.started_at,
            switched_at: row.switched_at,
            finished_at: row.finished_at,
        })
    }
}

/// Tells the replicas when the transaction commits.
async fn announce(connection: &mut PgConnection, instance: InstanceId) -> Result<(), DbError> {
    signals::send(connection, Signal::InstanceChanged(instance)).await
}
