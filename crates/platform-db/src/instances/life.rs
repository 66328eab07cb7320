//! `awaiting_setup` → `active` ⇄ `suspended`, and `deleting`: every step is guarded in SQL, so that
//! two at once cannot both take it. Each answers whether it was taken.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query};
use stoa_domain::InstanceId;

use super::announce;
use crate::DbError;

/// Notes that one of the instance's AI configurations has passed its test, or, with `None`, that
/// none has any more. An active instance stays active: its chat says what is missing.
///
/// # Errors
/// When the database fails.
pub async fn set_ai_ready(
    connection: &mut PgConnection,
    id: InstanceId,
    since: Option<DateTime<Utc>>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET ai_ready_at = CASE WHEN $2::timestamptz IS NULL THEN NULL ELSE coalesce(ai_ready_at, $2) END
         WHERE id = $1",
        id.as_uuid(),
        since,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Makes an instance active that awaits nothing any more: its database is connected and an AI
/// configuration has passed its test.
///
/// # Errors
/// When the database fails.
pub async fn activate_if_ready(
    connection: &mut PgConnection,
    id: InstanceId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET status = 'active', activated_at = coalesce(activated_at, $2)
         WHERE id = $1 AND status = 'awaiting_setup' AND database_state = 'ready' AND ai_ready_at IS NOT NULL",
        id.as_uuid(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Suspends an active instance.
///
/// # Errors
/// When the database fails.
pub async fn suspend(
    connection: &mut PgConnection,
    id: InstanceId,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET status = 'suspended', suspended_at = $2, suspended_reason = $3
         WHERE id = $1 AND status = 'active'",
        id.as_uuid(),
        now,
        reason,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Lets a suspended instance go on.
///
/// # Errors
/// When the database fails.
pub async fn resume(connection: &mut PgConnection, id: InstanceId) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances
         SET status = 'active', suspended_at = NULL, suspended_reason = NULL
         WHERE id = $1 AND status = 'suspended'",
        id.as_uuid(),
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Begins to delete an instance; from here there is no way back.
///
/// # Errors
/// When the database fails.
pub async fn start_deleting(
    connection: &mut PgConnection,
    id: InstanceId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.chat_instances SET status = 'deleting', deleting_at = $2
         WHERE id = $1 AND status <> 'deleting'",
        id.as_uuid(),
        now,
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}

/// Drops an instance that is being deleted: its data key is destroyed, its admins, sessions and
/// keys go with it. Usage, ledger and audit log stay.
///
/// # Errors
/// When the database fails.
pub async fn delete(connection: &mut PgConnection, id: InstanceId) -> Result<bool, DbError> {
    let done = query!(
        "DELETE FROM stoa_platform.chat_instances WHERE id = $1 AND status = 'deleting'",
        id.as_uuid(),
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, id, done.rows_affected()).await
}
