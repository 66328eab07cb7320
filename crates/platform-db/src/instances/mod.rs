//! The registry of instances: that a client exists, where its database is, and how it stands.
//!
//! Whatever changes an instance so that others must know sends [`Signal::InstanceChanged`] in the
//! same transaction.

mod database;
mod life;
mod registry;
mod schema;
mod sweep;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId, InstanceName, InstanceStatus, Slug};
use uuid::Uuid;

use crate::signals::{self, Signal};
use crate::{DbError, stored};

pub use database::{
    DatabaseFacts, NewDatabase, SeenState, ailing, record_database_facts, set_database,
    set_database_state, take_ailing,
};
pub use life::{activate_if_ready, delete, resume, set_ai_ready, start_deleting, suspend};
pub use registry::{
    Changes, Filter, NewInstance, count_by_status, find, find_by_slug, insert, list, update,
};
pub use schema::{
    Laggard, SchemaClaim, SchemaError, SchemaLease, SchemaStanding, claim_outdated,
    claim_schema_of, prolong_schema_lease, record_schema_error, record_schema_version,
    release_schema_lease, schema_laggards, schema_standing, schema_versions, without_schema,
};
pub use sweep::{SweepRule, due_for_sweep, mark_swept, touch_active};

/// One client's chatbot, as the platform knows it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its id, the `CLIENT_ID`.
    pub id: InstanceId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people.
    pub name: InstanceName,
    /// Where it stands in its life.
    pub status: InstanceStatus,
    /// The code of its plan.
    pub plan: String,
    /// Where its data must stay, as the operator names regions.
    pub region: Option<String>,
    /// The part of the fleet that serves it.
    pub cell_id: String,
    /// Its database.
    pub database: ClientDatabase,
    /// Its Supabase project's address.
    pub supabase_url: Option<String>,
    /// The project's keys, sealed.
    pub supabase_sealed: Option<Vec<u8>>,
    /// Its data key, wrapped by a master key.
    pub data_key_wrapped: Vec<u8>,
    /// Which master key wrapped it.
    pub master_key_id: String,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it first became active.
    pub activated_at: Option<DateTime<Utc>>,
    /// Since when it is suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Why it is suspended, as the operator wrote.
    pub suspended_reason: Option<String>,
    /// Since when it is being deleted.
    pub deleting_at: Option<DateTime<Utc>>,
    /// Since when one of its AI configurations has passed its test.
    pub ai_ready_at: Option<DateTime<Utc>>,
    /// When somebody last talked to it, to the minute.
    pub last_active_at: Option<DateTime<Utc>>,
    /// When its database was last swept.
    pub swept_at: Option<DateTime<Utc>>,
}

/// What the platform knows of a client's database.
#[derive(Clone, Debug)]
pub struct ClientDatabase {
    /// Whose cluster it is on.
    pub mode: DatabaseMode,
    /// What is known of it.
    pub state: DatabaseState,
    /// What was seen of it.
    pub facts: DatabaseFacts,
    /// Grows with every new address.
    pub generation: i64,
    /// Its address, sealed; `None` while it has none.
    pub address_sealed: Option<Vec<u8>>,
    /// When its state was last looked at.
    pub checked_at: Option<DateTime<Utc>>,
    /// Why its schema could not be brought up to date, where that was tried and failed.
    pub schema_error: Option<SchemaError>,
    /// Until when nobody takes a connection to it, because a move is about to switch.
    pub paused_until: Option<DateTime<Utc>>,
    /// What is wrong with it, if something is.
    pub error: Option<DatabaseFault>,
}

/// What is wrong with a client's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFault {
    /// A stable word of ours.
    pub code: String,
    /// Since when it has not been well.
    pub since: DateTime<Utc>,
}

/// A row as it is stored.
pub(crate) struct InstanceRow {
    id: Uuid,
    slug: String,
    name: String,
    status: String,
    plan: String,
    region: Option<String>,
    cell_id: String,
    database_mode: String,
    database_state: String,
    database_host: Option<String>,
    database_version: Option<String>,
    database_pgvector: Option<String>,
    database_pooler: Option<String>,
    database_generation: i64,
    database_address_sealed: Option<Vec<u8>>,
    database_checked_at: Option<DateTime<Utc>>,
    database_paused_until: Option<DateTime<Utc>>,
    database_error_code: Option<String>,
    database_error_since: Option<DateTime<Utc>>,
    schema_version: Option<i32>,
    schema_error_code: Option<String>,
    schema_error: Option<String>,
    schema_error_remedy: Option<String>,
    schema_error_at: Option<DateTime<Utc>>,
    supabase_url: Option<String>,
    supabase_sealed: Option<Vec<u8>>,
    data_key_wrapped: Vec<u8>,
    master_key_id: String,
    created_at: DateTime<Utc>,
    activated_at: Option<DateTime<Utc>>,
    suspended_at: Option<DateTime<Utc>>,
    suspended_reason: Option<String>,
    deleting_at: Option<DateTime<Utc>>,
    ai_ready_at: Option<DateTime<Utc>>,
    last_active_at: Option<DateTime<Utc>>,
    swept_at: Option<DateTime<Utc>>,
}

impl TryFrom<InstanceRow> for Instance {
    type Error = DbError;

    fn try_from(row: InstanceRow) -> Result<Self, DbError> {
        Ok(Self {
            id: InstanceId::from_uuid(row.id),
            slug: Slug::parse(&row.slug).map_err(stored::not_understood("slug"))?,
            name: InstanceName::parse(&row.name).map_err(stored::not_understood("name"))?,
            status: stored::word("status", &row.status)?,
            plan: row.plan,
            region: row.region,
            cell_id: row.cell_id,
            database: ClientDatabase {
                mode: stored::word("database_mode", &row.database_mode)?,
                state: stored::word("database_state", &row.database_state)?,
                facts: DatabaseFacts {
                    host: row.database_host,
                    version: row.database_version,
                    pgvector: row.database_pgvector,
                    pooler: row.database_pooler,
                    schema_version: row.schema_version,
                },
                generation: row.database_generation,
                address_sealed: row.database_address_sealed,
                checked_at: row.database_checked_at,
                schema_error: schema::schema_error(
                    row.schema_error_code,
                    row.schema_error,
                    row.schema_error_remedy,
                    row.schema_error_at,
                ),
                paused_until: row.database_paused_until,
                error: row
                    .database_error_code
                    .zip(row.database_error_since)
                    .map(|(code, since)| DatabaseFault { code, since }),
            },
            supabase_url: row.supabase_url,
            supabase_sealed: row.supabase_sealed,
            data_key_wrapped: row.data_key_wrapped,
            master_key_id: row.master_key_id,
            created_at: row.created_at,
            activated_at: row.activated_at,
            suspended_at: row.suspended_at,
            suspended_reason: row.suspended_reason,
            deleting_at: row.deleting_at,
            ai_ready_at: row.ai_ready_at,
            last_active_at: row.last_active_at,
            swept_at: row.swept_at,
        })
    }
}

fn all(rows: Vec<InstanceRow>) -> Result<Vec<Instance>, DbError> {
    rows.into_iter().map(Instance::try_from).collect()
}

/// Tells the other replicas of a changed instance when the transaction commits; says whether any
/// of its rows was changed.
async fn announce(
    connection: &mut PgConnection,
    id: InstanceId,
    rows: u64,
) -> Result<bool, DbError> {
    signals::send_if(connection, rows, Signal::InstanceChanged(id)).await
}
