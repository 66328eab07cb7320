//! Signed-in browsers of super admins and client admins. Only the hash of a session's token is
//! kept; signing out, by oneself or by another, deletes the row.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, query};
use stoa_domain::UserSessionId;
use stoa_domain::token::TokenHash;

use crate::DbError;
use crate::account::{Account, AccountColumns, AccountId};

/// How often a session that is in use is written.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);

/// A session to be begun.
#[derive(Clone, Debug)]
pub struct NewUserSession {
    /// Its id.
    pub id: UserSessionId,
    /// Who signed in.
    pub account: AccountId,
    /// The hash of its token.
    pub token: TokenHash,
    /// The time.
    pub created_at: DateTime<Utc>,
    /// When it ends, however much it is used.
    pub expires_at: DateTime<Utc>,
}

/// A session that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
    /// Its id.
    pub id: UserSessionId,
    /// Whose it is, with the role as it is now.
    pub account: Account,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ends, however much it is used.
    pub expires_at: DateTime<Utc>,
}

/// Begins a session.
///
/// # Errors
/// When the database fails.
pub async fn insert(connection: &mut PgConnection, new: &NewUserSession) -> Result<(), DbError> {
    let (super_admin, instance_admin) = new.account.columns();
    query!(
        "INSERT INTO stoa_platform.user_sessions
             (id, super_admin_id, instance_admin_id, token_hash, created_at, last_seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $5, $6)",
        new.id.as_uuid(),
        super_admin,
        instance_admin,
        new.token.as_bytes().as_slice(),
        new.created_at,
        new.expires_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The session with this token, unless it is over or has rested for longer than `idle`. That it is
/// in use is noted, to the minute.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    token: &TokenHash,
    idle: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Option<UserSession>, DbError> {
    let row = query!(
        r#"SELECT s.id, s.created_at, s.expires_at, s.last_seen_at, s.super_admin_id, s.instance_admin_id,
                  ia.instance_id AS "instance_id?", coalesce(sa.email, ia.email) AS email, ia.role AS "role?"
           FROM stoa_platform.user_sessions s
           LEFT JOIN stoa_platform.super_admins sa ON sa.id = s.super_admin_id AND sa.disabled_at IS NULL
           LEFT JOIN stoa_platform.instance_admins ia ON ia.id = s.instance_admin_id
           WHERE s.token_hash = $1 AND s.expires_at > $2 AND s.last_seen_at > $3
             AND coalesce(sa.id, ia.id) IS NOT NULL"#,
        token.as_bytes().as_slice(),
        now,
        now - idle,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let id = UserSessionId::from_uuid(row.id);
    if row.last_seen_at <= now - TOUCH_EVERY {
        touch(connection, id, now).await?;
    }
    let account = AccountColumns {
        super_admin_id: row.super_admin_id,
        instance_admin_id: row.instance_admin_id,
        instance_id: row.instance_id,
        email: row.email,
        role: row.role,
    };
    Ok(Some(UserSession {
        id,
        account: account.try_into()?,
        created_at: row.created_at,
        expires_at: row.expires_at,
    }))
}

async fn touch(
    connection: &mut PgConnection,
    id: UserSessionId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.user_sessions SET last_seen_at = greatest(last_seen_at, $2) WHERE id = $1",
        id.as_uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub async fn revoke(connection: &mut PgConnection, id: UserSessionId) -> Result<bool, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.user_sessions WHERE id = $1",
        id.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends every session of an account except `keep`, and says how many they were.
///
/// # Errors
/// When the database fails.
pub async fn revoke_all(
    connection: &mut PgConnection,
    account: AccountId,
    keep: Option<UserSessionId>,
) -> Result<u64, DbError> {
    let (super_admin, instance_admin) = account.columns();
    let done = query!(
        "DELETE FROM stoa_platform.user_sessions
         WHERE (super_admin_id = $1 OR instance_admin_id = $2) AND id IS DISTINCT FROM $3",
        super_admin,
        instance_admin,
        keep.map(|id| id.as_uuid()),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Clears away sessions that are over.
///
/// # Errors
/// When the database fails.
pub async fn purge(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.user_sessions WHERE expires_at <= $1",
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
