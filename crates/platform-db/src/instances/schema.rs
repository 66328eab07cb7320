//! Bringing thousands of clients' databases up to date: which are behind, who is at which, and how
//! it went.
//!
//! Whoever migrates a database holds its row by a lease with a token, for seconds, and prolongs it
//! while alive. Two processes therefore share the work and are never at one database at once; what a
//! dead one held is free again soon.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use stoa_domain::{InstanceId, Slug};
use uuid::Uuid;

use super::announce;
use crate::{DbError, stored};

/// Held for the moment of a claim, so that two claims cannot both take the last place at a host.
const CLAIMS: i64 = 6_240_917_385_021_644;

/// Why a database could not be brought up to date, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// A stable word.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// When it was last tried.
    pub at: DateTime<Utc>,
}

/// What a process that migrates is ready to take.
#[derive(Clone, Copy, Debug)]
pub struct SchemaClaim {
    /// The schema version that databases are brought to.
    pub latest: i32,
    /// How many databases at one host may be worked on at once, by all processes together. The
    /// managed cluster is one host.
    pub per_host: i64,
    /// Only those that were not tried since.
    pub tried_before: Option<DateTime<Utc>>,
    /// Leaves alone what rests after a failure and what is known not to answer.
    pub gentle: bool,
    /// How long the lease lasts if it is not prolonged.
    pub until: DateTime<Utc>,
}

/// Proof of holding a database to migrate it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaLease {
    /// Whose.
    pub instance: InstanceId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Which address it has.
    pub generation: i64,
    token: i64,
}

struct LeaseRow {
    id: Uuid,
    slug: String,
    generation: i64,
    token: i64,
}

/// Takes the next database that is behind, the one that was used last before others. Belongs into a
/// transaction of its own.
///
/// # Errors
/// When the database fails.
pub async fn claim_outdated(
    connection: &mut PgConnection,
    claim: &SchemaClaim,
    now: DateTime<Utc>,
) -> Result<Option<SchemaLease>, DbError> {
    query!("SELECT pg_advisory_xact_lock($1)", CLAIMS)
        .execute(&mut *connection)
        .await?;
    let row = query_as!(
        LeaseRow,
        r#"WITH busy AS MATERIALIZED (
               SELECT CASE database_mode WHEN 'managed' THEN 'managed' ELSE coalesce(database_host, '') END AS host
               FROM stoa_platform.chat_instances WHERE schema_lease_until > $1
               GROUP BY 1 HAVING count(*) >= $5
           )
           UPDATE stoa_platform.chat_instances
           SET schema_lease = nextval('stoa_platform.schema_lease_tokens'), schema_lease_until = $6, schema_tried_at = $1
           WHERE id = (
               SELECT i.id FROM stoa_platform.chat_instances i
               WHERE i.database_address_sealed IS NOT NULL AND i.status <> 'deleting'
                 AND coalesce(i.schema_version, 0) < $2
                 AND (i.schema_lease_until IS NULL OR i.schema_lease_until <= $1)
                 AND ($3::timestamptz IS NULL OR i.schema_tried_at IS NULL OR i.schema_tried_at < $3)
                 AND (NOT $4 OR (i.schema_retry_at IS NULL OR i.schema_retry_at <= $1)
                      AND i.database_state NOT IN ('unreachable', 'paused', 'mismatch'))
                 AND CASE i.database_mode WHEN 'managed' THEN 'managed' ELSE coalesce(i.database_host, '') END
                     NOT IN (SELECT host FROM busy)
               ORDER BY i.last_active_at DESC NULLS LAST, i.id
               LIMIT 1
           )
           RETURNING id, slug, database_generation AS generation, schema_lease AS "token!""#,
        now,
        claim.latest,
        claim.tried_before,
        claim.gentle,
        claim.per_host,
        claim.until,
    )
    .fetch_optional(connection)
    .await?;
    row.map(SchemaLease::try_from).transpose()
}

/// Takes this one, whatever its version. `None` when somebody else holds it, or it has no database.
///
/// # Errors
/// When the database fails.
pub async fn claim_schema_of(
    connection: &mut PgConnection,
    id: InstanceId,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<SchemaLease>, DbError> {
    let row = query_as!(
        LeaseRow,
        r#"UPDATE stoa_platform.chat_instances
           SET schema_lease = nextval('stoa_platform.schema_lease_tokens'), schema_lease_until = $3, schema_tried_at = $2
           WHERE id = $1 AND database_address_sealed IS NOT NULL AND status <> 'deleting'
             AND (schema_lease_until IS NULL OR schema_lease_until <= $2)
           RETURNING id, slug, database_generation AS generation, schema_lease AS "token!""#,
        id.as_uuid(),
        now,
        until,
    )
    .fetch_optional(connection)
    .await?;
    row.map(SchemaLease::try_from).transpose()
}

/// Keeps a database for longer. `false` when it was lost to another process.
///
/// # Errors
/// When the database fails.
pub async fn prolong_schema_lease(
    connection: &mut PgConnection,
    lease: &SchemaLease,
    until: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances SET schema_lease_until = $3 WHERE id = $1 AND schema_lease = $2",
        lease.instance.as_uuid(),
        lease.token,
        until,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Gives a database back. One that was lost meanwhile stays with whoever has it.
///
/// # Errors
/// When the database fails.
pub async fn release_schema_lease(
    connection: &mut PgConnection,
    lease: &SchemaLease,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.chat_instances SET schema_lease = NULL, schema_lease_until = NULL
         WHERE id = $1 AND schema_lease = $2",
        lease.instance.as_uuid(),
        lease.token,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes the version that a database is at, and that nothing is wrong. Says whether that is news;
/// what was learned of an older address is dropped.
///
/// # Errors
/// When the database fails.
pub async fn record_schema_version(
    connection: &mut PgConnection,
    id: InstanceId,
    generation: i64,
    version: i32,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET schema_version = $3, schema_error_code = NULL, schema_error = NULL, schema_error_remedy = NULL,
             schema_error_at = NULL, schema_failures = 0, schema_retry_at = NULL
         WHERE id = $1 AND database_generation = $2
           AND (schema_version IS DISTINCT FROM $3 OR schema_error_code IS NOT NULL)",
        id.as_uuid(),
        generation,
        version,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Notes why a database could not be brought up to date. It rests for a minute, and twice as long
/// after each failure in a row, up to six hours, of which the second half is scattered by `fraction`
/// (0 to 1).
///
/// # Errors
/// When the database fails.
pub async fn record_schema_error(
    connection: &mut PgConnection,
    id: InstanceId,
    generation: i64,
    error: &SchemaError,
    fraction: f64,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET schema_error_code = $3, schema_error = $4, schema_error_remedy = $5, schema_error_at = $6,
             schema_failures = schema_failures + 1,
             schema_retry_at = $6::timestamptz
                 + make_interval(secs => least(60 * power(2, least(schema_failures, 16)), 21600) * $7::float8)
         WHERE id = $1 AND database_generation = $2",
        id.as_uuid(),
        generation,
        error.code,
        error.message,
        error.remedy,
        error.at,
        0.5 + 0.5 * fraction.clamp(0.0, 1.0),
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// How the fleet's databases stand to a schema version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchemaStanding {
    /// At that version, or at the one after it.
    pub up_to_date: i64,
    /// At another version, or at none known.
    pub behind: i64,
    /// Of those, the ones that somebody is at now.
    pub under_way: i64,
    /// Without a database, or being deleted.
    pub skipped: i64,
}

/// How the fleet stands.
///
/// # Errors
/// When the database fails.
pub async fn schema_standing(
    connection: &mut PgConnection,
    latest: i32,
    now: DateTime<Utc>,
) -> Result<SchemaStanding, DbError> {
    Ok(query_as!(
        SchemaStanding,
        r#"SELECT count(*) FILTER (WHERE wanted AND current) AS "up_to_date!",
                  count(*) FILTER (WHERE wanted AND NOT current) AS "behind!",
                  count(*) FILTER (WHERE wanted AND NOT current AND leased) AS "under_way!",
                  count(*) FILTER (WHERE NOT wanted) AS "skipped!"
           FROM (SELECT database_address_sealed IS NOT NULL AND status <> 'deleting' AS wanted,
                        coalesce(schema_version, 0) BETWEEN $1 AND $1 + 1 AS current,
                        coalesce(schema_lease_until > $2, false) AS leased
                 FROM stoa_platform.chat_instances) i"#,
        latest,
        now,
    )
    .fetch_one(connection)
    .await?)
}

/// A database that is not at the version it should be at.
#[derive(Clone, Debug)]
pub struct Laggard {
    /// Whose.
    pub slug: Slug,
    /// The version that it is at; 0 where none is known.
    pub version: i32,
    /// Why, where it was tried.
    pub error: Option<SchemaError>,
}

/// The databases at another version than `latest` or the one after it, by slug; those that were
/// tried and failed come first.
///
/// # Errors
/// When the database fails.
pub async fn schema_laggards(
    connection: &mut PgConnection,
    latest: i32,
    limit: i64,
) -> Result<Vec<Laggard>, DbError> {
    let rows = query!(
        r#"SELECT slug, coalesce(schema_version, 0) AS "version!", schema_error_code, schema_error,
                  schema_error_remedy, schema_error_at
           FROM stoa_platform.chat_instances
           WHERE database_address_sealed IS NOT NULL AND status <> 'deleting'
             AND coalesce(schema_version, 0) NOT BETWEEN $1 AND $1 + 1
           ORDER BY schema_error_code IS NULL, slug
           LIMIT $2"#,
        latest,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Laggard {
                slug: Slug::parse(&row.slug).map_err(stored::not_understood("slug"))?,
                version: row.version,
                error: schema_error(
                    row.schema_error_code,
                    row.schema_error,
                    row.schema_error_remedy,
                    row.schema_error_at,
                ),
            })
        })
        .collect()
}

/// Every instance with a database, and the schema version that it is known to be at (0 where none
/// is known), by version and slug. Works on a platform database that waits for its own migrations.
///
/// # Errors
/// When the database fails.
pub async fn schema_versions(connection: &mut PgConnection) -> Result<Vec<(Slug, i32)>, DbError> {
    query!(
        r#"SELECT slug, coalesce(schema_version, 0) AS "version!" FROM stoa_platform.chat_instances
           WHERE database_address_sealed IS NOT NULL AND status <> 'deleting' ORDER BY 2, 1"#
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| {
        let slug = Slug::parse(&row.slug).map_err(stored::not_understood("slug"))?;
        Ok((slug, row.version))
    })
    .collect()
}

/// How many instances have no database or are being deleted. As [`schema_versions`].
///
/// # Errors
/// When the database fails.
pub async fn without_schema(connection: &mut PgConnection) -> Result<i64, DbError> {
    Ok(query_scalar!(
        r#"SELECT count(*) AS "count!" FROM stoa_platform.chat_instances
           WHERE database_address_sealed IS NULL OR status = 'deleting'"#
    )
    .fetch_one(connection)
    .await?)
}

/// An error as its columns hold it: whole, or not at all.
pub(super) fn schema_error(
    code: Option<String>,
    message: Option<String>,
    remedy: Option<String>,
    at: Option<DateTime<Utc>>,
) -> Option<SchemaError> {
    Some(SchemaError {
        code: code?,
        message: message?,
        remedy: remedy?,
        at: at?,
    })
}

impl TryFrom<LeaseRow> for SchemaLease {
    type Error = DbError;

    fn try_from(row: LeaseRow) -> Result<Self, DbError> {
        Ok(Self {
            instance: InstanceId::from_uuid(row.id),
            slug: Slug::parse(&row.slug).map_err(stored::not_understood("slug"))?,
            generation: row.generation,
            token: row.token,
        })
    }
}
