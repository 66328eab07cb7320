//! The people who run one instance. Every one is found through their instance.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, query, query_as};
use stoa_domain::{AdminRole, Email, InstanceAdminId, InstanceId};
use uuid::Uuid;

use crate::{DbError, stored};

/// A client admin's account.
#[derive(Clone, Debug)]
pub struct InstanceAdmin {
    /// Its id.
    pub id: InstanceAdminId,
    /// Whose console it opens.
    pub instance: InstanceId,
    /// Its address, with which it signs in.
    pub email: Email,
    /// What it may do.
    pub role: AdminRole,
    /// The password's hash; `None` until one is set through a link.
    pub password_hash: Option<SecretString>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last signed in.
    pub last_signed_in_at: Option<DateTime<Utc>>,
}

struct Row {
    id: Uuid,
    instance_id: Uuid,
    email: String,
    role: String,
    password_hash: Option<String>,
    created_at: DateTime<Utc>,
    last_signed_in_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for InstanceAdmin {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: InstanceAdminId::from_uuid(row.id),
            instance: InstanceId::from_uuid(row.instance_id),
            email: Email::parse(&row.email).map_err(stored::not_understood("email"))?,
            role: stored::word("role", &row.role)?,
            password_hash: row.password_hash.map(SecretString::from),
            created_at: row.created_at,
            last_signed_in_at: row.last_signed_in_at,
        })
    }
}

/// What a new admin begins with; the password comes through a link.
#[derive(Clone, Debug)]
pub struct NewInstanceAdmin {
    /// Its id.
    pub id: InstanceAdminId,
    /// Whose console it is to open.
    pub instance: InstanceId,
    /// Its address.
    pub email: Email,
    /// What it may do.
    pub role: AdminRole,
    /// The time.
    pub created_at: DateTime<Utc>,
}

/// Adds an admin.
///
/// # Errors
/// [`Taken::InstanceAdminEmail`](crate::Taken::InstanceAdminEmail), or when the database fails.
pub async fn insert(connection: &mut PgConnection, new: &NewInstanceAdmin) -> Result<(), DbError> {
    query!(
        "INSERT INTO stoa_platform.instance_admins (id, instance_id, email, role, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        new.id.as_uuid(),
        new.instance.as_uuid(),
        new.email.as_str(),
        new.role.as_str(),
        new.created_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The admin of this instance with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    instance: InstanceId,
    id: InstanceAdminId,
) -> Result<Option<InstanceAdmin>, DbError> {
    query_as!(
        Row,
        "SELECT id, instance_id, email, role, password_hash, created_at, last_signed_in_at
         FROM stoa_platform.instance_admins WHERE instance_id = $1 AND id = $2",
        instance.as_uuid(),
        id.as_uuid(),
    )
    .fetch_optional(connection)
    .await?
    .map(InstanceAdmin::try_from)
    .transpose()
}

/// The admin of this instance with this address.
///
/// # Errors
/// When the database fails.
pub async fn find_by_email(
    connection: &mut PgConnection,
    instance: InstanceId,
    email: &Email,
) -> Result<Option<InstanceAdmin>, DbError> {
    query_as!(
        Row,
        "SELECT id, instance_id, email, role, password_hash, created_at, last_signed_in_at
         FROM stoa_platform.instance_admins WHERE instance_id = $1 AND email = $2",
        instance.as_uuid(),
        email.as_str(),
    )
    .fetch_optional(connection)
    .await?
    .map(InstanceAdmin::try_from)
    .transpose()
}

/// All admins of an instance, the first one first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<Vec<InstanceAdmin>, DbError> {
    query_as!(
        Row,
        "SELECT id, instance_id, email, role, password_hash, created_at, last_signed_in_at
         FROM stoa_platform.instance_admins WHERE instance_id = $1 ORDER BY created_at, id",
        instance.as_uuid(),
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(InstanceAdmin::try_from)
    .collect()
}

/// Sets the password's hash, or takes the password away. The caller ends the account's other
/// sessions in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn set_password(
    connection: &mut PgConnection,
    instance: InstanceId,
    id: InstanceAdminId,
    hash: Option<&SecretString>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.instance_admins SET password_hash = $3, password_changed_at = $4
         WHERE instance_id = $1 AND id = $2",
        instance.as_uuid(),
        id.as_uuid(),
        hash.map(ExposeSecret::expose_secret),
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Gives an admin another role. The caller ends the account's sessions in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn set_role(
    connection: &mut PgConnection,
    instance: InstanceId,
    id: InstanceAdminId,
    role: AdminRole,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.instance_admins SET role = $3 WHERE instance_id = $1 AND id = $2",
        instance.as_uuid(),
        id.as_uuid(),
        role.as_str(),
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
    id: InstanceAdminId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.instance_admins SET last_signed_in_at = $2 WHERE id = $1",
        id.as_uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes an admin with their sessions and links.
///
/// # Errors
/// When the database fails.
pub async fn delete(
    connection: &mut PgConnection,
    instance: InstanceId,
    id: InstanceAdminId,
) -> Result<bool, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.instance_admins WHERE instance_id = $1 AND id = $2",
        instance.as_uuid(),
        id.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
