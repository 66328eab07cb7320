//! Platform tokens and client API keys. Only their hash is kept.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as};
use stoa_domain::token::TokenHash;
use stoa_domain::{ApiTokenId, InstanceId};
use uuid::Uuid;

use crate::DbError;

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiTokenScope {
    /// The platform API.
    Platform,
    /// The client API of one instance.
    Client(InstanceId),
}

impl ApiTokenScope {
    const fn columns(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::Platform => ("platform", None),
            Self::Client(instance) => ("client", Some(instance.as_uuid())),
        }
    }

    fn from_column(instance: Option<Uuid>) -> Self {
        instance.map_or(Self::Platform, |id| Self::Client(InstanceId::from_uuid(id)))
    }
}

/// A token to be issued.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// What it is to open.
    pub scope: ApiTokenScope,
    /// What people call it.
    pub name: String,
    /// Its hash.
    pub token: TokenHash,
    /// Its last four characters.
    pub hint: String,
    /// The time.
    pub created_at: DateTime<Utc>,
}

/// A token as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// What it opens.
    pub scope: ApiTokenScope,
    /// What people call it.
    pub name: String,
    /// Its last four characters.
    pub hint: String,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Since when it opens nothing.
    pub revoked_at: Option<DateTime<Utc>>,
}

struct Row {
    id: Uuid,
    instance_id: Option<Uuid>,
    name: String,
    hint: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Row> for ApiToken {
    fn from(row: Row) -> Self {
        Self {
            id: ApiTokenId::from_uuid(row.id),
            scope: ApiTokenScope::from_column(row.instance_id),
            name: row.name,
            hint: row.hint,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// Issues a token.
///
/// # Errors
/// When the database fails.
pub async fn insert(connection: &mut PgConnection, new: &NewApiToken) -> Result<(), DbError> {
    let (kind, instance) = new.scope.columns();
    query!(
        "INSERT INTO stoa_platform.api_tokens (id, kind, instance_id, name, token_hash, hint, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        new.id.as_uuid(),
        kind,
        instance,
        new.name,
        new.token.as_bytes().as_slice(),
        new.hint,
        new.created_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The token with this hash, unless it is revoked. That it is in use is noted, to the minute.
///
/// # Errors
/// When the database fails.
pub async fn find_by_hash(
    connection: &mut PgConnection,
    token: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<ApiToken>, DbError> {
    let row = query_as!(
        Row,
        "SELECT id, instance_id, name, hint, created_at, last_used_at, revoked_at
         FROM stoa_platform.api_tokens WHERE token_hash = $1 AND revoked_at IS NULL",
        token.as_bytes().as_slice(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let minute_ago = now - chrono::TimeDelta::minutes(1);
    if row.last_used_at.is_none_or(|at| at <= minute_ago) {
        query!(
            "UPDATE stoa_platform.api_tokens SET last_used_at = $2 WHERE id = $1",
            row.id,
            now,
        )
        .execute(connection)
        .await?;
    }
    Ok(Some(row.into()))
}

/// All tokens of a scope, the newest first, the revoked ones too.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    scope: ApiTokenScope,
) -> Result<Vec<ApiToken>, DbError> {
    let (kind, instance) = scope.columns();
    let rows = query_as!(
        Row,
        "SELECT id, instance_id, name, hint, created_at, last_used_at, revoked_at
         FROM stoa_platform.api_tokens
         WHERE kind = $1 AND instance_id IS NOT DISTINCT FROM $2 ORDER BY id DESC",
        kind,
        instance,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(ApiToken::from).collect())
}

/// Revokes a token of this scope.
///
/// # Errors
/// When the database fails.
pub async fn revoke(
    connection: &mut PgConnection,
    scope: ApiTokenScope,
    id: ApiTokenId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let (kind, instance) = scope.columns();
    let done = query!(
        "UPDATE stoa_platform.api_tokens SET revoked_at = $4
         WHERE id = $1 AND kind = $2 AND instance_id IS NOT DISTINCT FROM $3 AND revoked_at IS NULL",
        id.as_uuid(),
        kind,
        instance,
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
