//! Registering, finding, listing and renaming instances.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as};
use stoa_domain::{DatabaseMode, InstanceId, InstanceName, InstanceStatus, Slug};

use super::{Instance, InstanceRow, all, announce};
use crate::{DbError, stored};

/// Selects whole instances; what follows the table's name is the argument.
macro_rules! select_instances {
    ($rest:literal, $($argument:expr),+ $(,)?) => {
        query_as!(
            InstanceRow,
            "SELECT id, slug, name, status, plan, region, cell_id, database_mode, database_state, "
                + "database_host, database_version, database_pgvector, database_pooler, "
                + "database_generation, database_address_sealed, database_checked_at, "
                + "database_paused_until, "
                + "database_error_code, database_error_since, "
                + "schema_version, schema_error_code, schema_error, schema_error_remedy, "
                + "schema_error_at, supabase_url, supabase_sealed, data_key_wrapped, master_key_id, "
                + "created_at, activated_at, suspended_at, suspended_reason, deleting_at, "
                + "ai_ready_at, last_active_at, swept_at FROM stoa_platform.chat_instances "
                + $rest,
            $($argument),+
        )
    };
}

/// What a new instance begins with.
#[derive(Clone, Debug)]
pub struct NewInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people.
    pub name: InstanceName,
    /// The code of its plan.
    pub plan: String,
    /// Where its data must stay.
    pub region: Option<String>,
    /// Whose cluster its database is to be on.
    pub database_mode: DatabaseMode,
    /// Its data key, wrapped.
    pub data_key_wrapped: Vec<u8>,
    /// Which master key wrapped it.
    pub master_key_id: String,
    /// The time of registration.
    pub created_at: DateTime<Utc>,
}

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those with this status.
    pub status: Option<InstanceStatus>,
    /// Only those whose name or slug contains this, whatever its case.
    pub q: Option<String>,
    /// Only those after this one, in the order of the list.
    pub after: Option<InstanceId>,
    /// At most so many.
    pub limit: i64,
}

/// What is to be different; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Another name in addresses.
    pub slug: Option<Slug>,
    /// Another name for people.
    pub name: Option<InstanceName>,
    /// Another plan.
    pub plan: Option<String>,
    /// Another region.
    pub region: Option<String>,
}

/// Registers an instance that awaits its set-up.
///
/// # Errors
/// [`Taken::Slug`](crate::Taken::Slug), [`DbError::UnknownPlan`], or when the database fails.
pub async fn insert(connection: &mut PgConnection, new: &NewInstance) -> Result<(), DbError> {
    query!(
        "INSERT INTO stoa_platform.chat_instances
             (id, slug, name, status, plan, region, database_mode, data_key_wrapped, master_key_id, created_at)
         VALUES ($1, $2, $3, 'awaiting_setup', $4, $5, $6, $7, $8, $9)",
        new.id.as_uuid(),
        new.slug.as_str(),
        new.name.as_str(),
        new.plan,
        new.region,
        new.database_mode.as_str(),
        new.data_key_wrapped,
        new.master_key_id,
        new.created_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The instance with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    id: InstanceId,
) -> Result<Option<Instance>, DbError> {
    select_instances!("WHERE id = $1", id.as_uuid(),)
        .fetch_optional(connection)
        .await?
        .map(Instance::try_from)
        .transpose()
}

/// The instance with this slug.
///
/// # Errors
/// When the database fails.
pub async fn find_by_slug(
    connection: &mut PgConnection,
    slug: &Slug,
) -> Result<Option<Instance>, DbError> {
    select_instances!("WHERE slug = $1", slug.as_str(),)
        .fetch_optional(connection)
        .await?
        .map(Instance::try_from)
        .transpose()
}

/// A page of instances, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
) -> Result<Vec<Instance>, DbError> {
    let rows = select_instances!(
        "WHERE ($1::text IS NULL OR status = $1)
           AND ($2::text IS NULL OR strpos(lower(name), lower($2)) > 0 OR strpos(slug, lower($2)) > 0)
           AND ($3::uuid IS NULL OR id < $3)
         ORDER BY id DESC
         LIMIT $4",
        filter.status.map(InstanceStatus::as_str),
        filter.q,
        filter.after.map(|id| id.as_uuid()),
        filter.limit,
    )
    .fetch_all(connection)
    .await?;
    all(rows)
}

/// How many instances have each status; a status that none has is left out.
///
/// # Errors
/// When the database fails.
pub async fn count_by_status(
    connection: &mut PgConnection,
) -> Result<Vec<(InstanceStatus, i64)>, DbError> {
    query!(
        r#"SELECT status, count(*) AS "count!" FROM stoa_platform.chat_instances GROUP BY status"#
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| Ok((stored::word("status", &row.status)?, row.count)))
    .collect()
}

/// Changes what the operator may change. `false` when there is no such instance.
///
/// # Errors
/// [`Taken::Slug`](crate::Taken::Slug), [`DbError::UnknownPlan`], or when the database fails.
pub async fn update(
    connection: &mut PgConnection,
    id: InstanceId,
    changes: &Changes,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET slug = coalesce($2, slug), name = coalesce($3, name), plan = coalesce($4, plan),
             region = coalesce($5, region)
         WHERE id = $1",
        id.as_uuid(),
        changes.slug.as_ref().map(Slug::as_str),
        changes.name.as_ref().map(InstanceName::as_str),
        changes.plan,
        changes.region,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}
