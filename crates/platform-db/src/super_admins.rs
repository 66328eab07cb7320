//! The people who run the platform.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, query, query_as, query_scalar};
use stoa_domain::{Email, SuperAdminId};
use uuid::Uuid;

use crate::{DbError, stored};

/// A super admin's account.
#[derive(Clone, Debug)]
pub struct SuperAdmin {
    /// Its id.
    pub id: SuperAdminId,
    /// Its address, with which it signs in.
    pub email: Email,
    /// The password's hash; `None` until one is set through a link.
    pub password_hash: Option<SecretString>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last signed in.
    pub last_signed_in_at: Option<DateTime<Utc>>,
    /// Since when it may not sign in.
    pub disabled_at: Option<DateTime<Utc>>,
}

struct Row {
    id: Uuid,
    email: String,
    password_hash: Option<String>,
    created_at: DateTime<Utc>,
    last_signed_in_at: Option<DateTime<Utc>>,
    disabled_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for SuperAdmin {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: SuperAdminId::from_uuid(row.id),
            email: Email::parse(&row.email).map_err(stored::not_understood("email"))?,
            password_hash: row.password_hash.map(SecretString::from),
            created_at: row.created_at,
            last_signed_in_at: row.last_signed_in_at,
            disabled_at: row.disabled_at,
        })
    }
}

/// Adds a super admin without a password.
///
/// # Errors
/// [`Taken::SuperAdminEmail`](crate::Taken::SuperAdminEmail), or when the database fails.
pub async fn insert(
    connection: &mut PgConnection,
    id: SuperAdminId,
    email: &Email,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "INSERT INTO stoa_platform.super_admins (id, email, created_at) VALUES ($1, $2, $3)",
        id.as_uuid(),
        email.as_str(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The super admin with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    id: SuperAdminId,
) -> Result<Option<SuperAdmin>, DbError> {
    query_as!(
        Row,
        "SELECT id, email, password_hash, created_at, last_signed_in_at, disabled_at
         FROM stoa_platform.super_admins WHERE id = $1",
        id.as_uuid(),
    )
    .fetch_optional(connection)
    .await?
    .map(SuperAdmin::try_from)
    .transpose()
}

/// The super admin with this address.
///
/// # Errors
/// When the database fails.
pub async fn find_by_email(
    connection: &mut PgConnection,
    email: &Email,
) -> Result<Option<SuperAdmin>, DbError> {
    query_as!(
        Row,
        "SELECT id, email, password_hash, created_at, last_signed_in_at, disabled_at
         FROM stoa_platform.super_admins WHERE email = $1",
        email.as_str(),
    )
    .fetch_optional(connection)
    .await?
    .map(SuperAdmin::try_from)
    .transpose()
}

/// All super admins, by address.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<SuperAdmin>, DbError> {
    query_as!(
        Row,
        "SELECT id, email, password_hash, created_at, last_signed_in_at, disabled_at
         FROM stoa_platform.super_admins ORDER BY email"
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(SuperAdmin::try_from)
    .collect()
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub async fn count(connection: &mut PgConnection) -> Result<i64, DbError> {
    Ok(
        query_scalar!(r#"SELECT count(*) AS "count!" FROM stoa_platform.super_admins"#)
            .fetch_one(connection)
            .await?,
    )
}

/// Sets the password's hash. The caller ends the account's other sessions in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn set_password(
    connection: &mut PgConnection,
    id: SuperAdminId,
    hash: &SecretString,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.super_admins SET password_hash = $2, password_changed_at = $3 WHERE id = $1",
        id.as_uuid(),
        hash.expose_secret(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Notes a sign-in.
///
/// # Errors
/// When the database fails.
pub async fn mark_signed_in(
    connection: &mut PgConnection,
    id: SuperAdminId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.super_admins SET last_signed_in_at = $2 WHERE id = $1",
        id.as_uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
