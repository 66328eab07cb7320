//! An instance as the platform's and the client's API show it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use stoa_app::database::advice;
use stoa_app::{ClientDatabase, Instance, fleet};
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId, InstanceStatus};
use utoipa::ToSchema;

/// One client's chatbot.
#[derive(Serialize, ToSchema)]
pub struct InstanceView {
    /// Its id, the `CLIENT_ID`.
    id: InstanceId,
    /// Its name in addresses.
    slug: String,
    /// Its name for people.
    name: String,
    /// Where it stands in its life.
    status: InstanceStatus,
    /// The code of its plan.
    plan: String,
    /// Where its data must stay, as the operator names regions.
    region: Option<String>,
    /// Its database.
    database: DatabaseView,
    /// When it was registered.
    created_at: DateTime<Utc>,
    /// When it first became active.
    activated_at: Option<DateTime<Utc>>,
    /// Since when it is suspended.
    suspended_at: Option<DateTime<Utc>>,
}

/// What is known of an instance's database. None of it opens anything.
#[derive(Serialize, ToSchema)]
pub(crate) struct DatabaseView {
    /// Whether the platform made it, or it is the client's own.
    mode: DatabaseMode,
    /// What is known of it now.
    state: DatabaseState,
    /// Its host and port.
    host: Option<String>,
    /// PostgreSQL's version.
    version: Option<String>,
    /// pgvector's version; null where it is missing, and then search is by words only.
    pgvector: Option<String>,
    /// The kind of pooler in front of it: `none`, `session` or `transaction`.
    pooler: Option<String>,
    /// What is wrong with it; null while nothing is.
    error: Option<DatabaseErrorView>,
    /// The schema that Stoa keeps in it.
    schema: SchemaView,
}

/// How the schema in an instance's database stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct SchemaView {
    /// The version that it is at; null where none is known yet.
    version: Option<i32>,
    /// The version that this program brings it to. One version behind, it is served as it is.
    latest: i32,
    /// Why it could not be brought up to date, where that was tried and failed.
    error: Option<SchemaErrorView>,
}

/// Why a schema could not be brought up to date. It is tried again by itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct SchemaErrorView {
    /// A stable word.
    code: String,
    /// What went wrong.
    message: String,
    /// What to do about it.
    remedy: String,
    /// When it was last tried.
    at: DateTime<Utc>,
}

impl SchemaView {
    fn of(database: &ClientDatabase) -> Self {
        let error = database.schema_error.as_ref();
        Self {
            version: database.facts.schema_version,
            latest: fleet::LATEST,
            error: error.map(|error| SchemaErrorView {
                code: error.code.clone(),
                message: error.message.clone(),
                remedy: error.remedy.clone(),
                at: error.at,
            }),
        }
    }
}

/// Why an instance's database cannot be used.
#[derive(Serialize, ToSchema)]
pub(crate) struct DatabaseErrorView {
    /// A stable word.
    code: String,
    /// What it means and what to do about it.
    message: &'static str,
    /// Since when it has not been well.
    since: DateTime<Utc>,
}

impl From<&Instance> for InstanceView {
    fn from(instance: &Instance) -> Self {
        let database = &instance.database;
        Self {
            id: instance.id,
            slug: instance.slug.to_string(),
            name: instance.name.to_string(),
            status: instance.status,
            plan: instance.plan.clone(),
            region: instance.region.clone(),
            database: DatabaseView {
                mode: database.mode,
                state: database.state,
                host: database.facts.host.clone(),
                version: database.facts.version.clone(),
                pgvector: database.facts.pgvector.clone(),
                pooler: database.facts.pooler.clone(),
                error: database.error.as_ref().map(|error| DatabaseErrorView {
                    message: advice(&error.code),
                    code: error.code.clone(),
                    since: error.since,
                }),
                schema: SchemaView::of(database),
            },
            created_at: instance.created_at,
            activated_at: instance.activated_at,
            suspended_at: instance.suspended_at,
        }
    }
}
