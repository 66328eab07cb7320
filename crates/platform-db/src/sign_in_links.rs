//! One-time links to set up an account or sign in. Only their hash is kept.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as};
use stoa_domain::SignInLinkId;
use stoa_domain::token::TokenHash;

use crate::DbError;
use crate::account::{Account, AccountColumns, AccountId};

/// A link to be issued.
#[derive(Clone, Debug)]
pub struct NewSignInLink {
    /// Its id.
    pub id: SignInLinkId,
    /// Whom it lets in.
    pub account: AccountId,
    /// The hash of its token.
    pub token: TokenHash,
    /// The time.
    pub created_at: DateTime<Utc>,
    /// Until when it works.
    pub expires_at: DateTime<Utc>,
}

/// Issues a link. Earlier ones of the same account stop working: the newest is the one that counts.
///
/// # Errors
/// When the database fails.
pub async fn issue(connection: &mut PgConnection, new: &NewSignInLink) -> Result<(), DbError> {
    revoke_all(connection, new.account).await?;
    let (super_admin, instance_admin) = new.account.columns();
    query!(
        "INSERT INTO stoa_platform.sign_in_links
             (id, super_admin_id, instance_admin_id, token_hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
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

/// Whom a link would let in, without using it up: for the page that it opens, which mail scanners
/// open too.
///
/// # Errors
/// When the database fails.
pub async fn peek(
    connection: &mut PgConnection,
    token: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Account>, DbError> {
    query_as!(
        AccountColumns,
        r#"SELECT l.super_admin_id, l.instance_admin_id, ia.instance_id AS "instance_id?",
                  coalesce(sa.email, ia.email) AS email, ia.role AS "role?"
           FROM stoa_platform.sign_in_links l
           LEFT JOIN stoa_platform.super_admins sa ON sa.id = l.super_admin_id AND sa.disabled_at IS NULL
           LEFT JOIN stoa_platform.instance_admins ia ON ia.id = l.instance_admin_id
           WHERE l.token_hash = $1 AND l.used_at IS NULL AND l.expires_at > $2
             AND coalesce(sa.id, ia.id) IS NOT NULL"#,
        token.as_bytes().as_slice(),
        now,
    )
    .fetch_optional(connection)
    .await?
    .map(Account::try_from)
    .transpose()
}

/// Uses a link up and answers whom it lets in; of two at once one gets `None`.
///
/// # Errors
/// When the database fails.
pub async fn take(
    connection: &mut PgConnection,
    token: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Account>, DbError> {
    query_as!(
        AccountColumns,
        r#"WITH taken AS (
               UPDATE stoa_platform.sign_in_links SET used_at = $2
               WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2
               RETURNING super_admin_id, instance_admin_id
           )
           SELECT l.super_admin_id, l.instance_admin_id, ia.instance_id AS "instance_id?",
                  coalesce(sa.email, ia.email) AS email, ia.role AS "role?"
           FROM taken l
           LEFT JOIN stoa_platform.super_admins sa ON sa.id = l.super_admin_id AND sa.disabled_at IS NULL
           LEFT JOIN stoa_platform.instance_admins ia ON ia.id = l.instance_admin_id
           WHERE coalesce(sa.id, ia.id) IS NOT NULL"#,
        token.as_bytes().as_slice(),
        now,
    )
    .fetch_optional(connection)
    .await?
    .map(Account::try_from)
    .transpose()
}

/// Makes every unused link of an account worthless.
///
/// # Errors
/// When the database fails.
pub async fn revoke_all(connection: &mut PgConnection, account: AccountId) -> Result<u64, DbError> {
    let (super_admin, instance_admin) = account.columns();
    let done = query!(
        "DELETE FROM stoa_platform.sign_in_links
         WHERE (super_admin_id = $1 OR instance_admin_id = $2) AND used_at IS NULL",
        super_admin,
        instance_admin,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
