//! Which client databases a sweep has to look into: those where somebody talked since the last one.
//! An idle client costs its row here and nothing else.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, query, query_scalar};
use stoa_domain::InstanceId;

use crate::DbError;

/// Notes that somebody talks to this instance. Kept to the minute, so that a busy one is not
/// written with every message.
///
/// # Errors
/// When the database fails.
pub async fn touch_active(
    connection: &mut PgConnection,
    id: InstanceId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.chat_instances SET last_active_at = $2
         WHERE id = $1 AND (last_active_at IS NULL OR last_active_at < $2::timestamptz - interval '1 minute')",
        id.as_uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How often an instance is swept, and for how long after it was last active.
#[derive(Clone, Copy, Debug)]
pub struct SweepRule {
    /// The time between two sweeps of one instance.
    pub every: TimeDelta,
    /// Longer than an answer can take, since activity is noted when a turn begins.
    pub after_activity: TimeDelta,
}

/// Instances that are due, the longest unswept first.
///
/// # Errors
/// When the database fails.
pub async fn due_for_sweep(
    connection: &mut PgConnection,
    rule: SweepRule,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<InstanceId>, DbError> {
    let ids = query_scalar!(
        "SELECT id FROM stoa_platform.chat_instances
         WHERE last_active_at IS NOT NULL AND database_address_sealed IS NOT NULL AND status <> 'deleting'
           AND (swept_at IS NULL OR swept_at <= $1 AND swept_at < last_active_at + make_interval(secs => $2))
         ORDER BY swept_at NULLS FIRST, id
         LIMIT $3",
        now - rule.every,
        rule.after_activity.as_seconds_f64(),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(InstanceId::from_uuid).collect())
}

/// Notes that an instance was swept.
///
/// # Errors
/// When the database fails.
pub async fn mark_swept(
    connection: &mut PgConnection,
    id: InstanceId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "UPDATE stoa_platform.chat_instances SET swept_at = $2 WHERE id = $1",
        id.as_uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
