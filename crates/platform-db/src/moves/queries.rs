//! Beginning moves, finding them, and what is at their end: the switch and the database that is left.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as, query_scalar};
use stoa_domain::{DatabaseMode, InstanceId, MoveId};

use super::{Destination, Move, MoveRow, announce};
use crate::DbError;

/// Selects whole moves; what follows the table's name is the argument.
macro_rules! select_moves {
    ($rest:literal, $($argument:expr),+ $(,)?) => {
        query_as!(
            MoveRow,
            "SELECT id, instance_id, phase, from_mode, from_host, to_mode, to_host, "
                + "to_address_sealed, to_facts, to_supabase_url, to_supabase_sealed, "
                + "previous_sealed, previous_dropped_at, progress, error_code, error, ends_as, "
                + "created_at, started_at, switched_at, finished_at "
                + "FROM stoa_platform.database_moves "
                + $rest,
            $($argument),+
        )
    };
}

/// A move that is to begin.
#[derive(Clone, Debug)]
pub struct NewMove {
    /// Its id.
    pub id: MoveId,
    /// Whose database.
    pub instance: InstanceId,
    /// The generation of the address that it leaves.
    pub generation: i64,
    /// Whose cluster the present one is on.
    pub from_mode: DatabaseMode,
    /// Its host, to show.
    pub from_host: Option<String>,
    /// Whose cluster the new one is to be on.
    pub to_mode: DatabaseMode,
    /// The new one, as far as it is known.
    pub to: Destination,
    /// The time.
    pub created_at: DateTime<Utc>,
}

/// Notes a move. `false` when the instance is gone or has another address by now, when it moves
/// already, or when it still has the database that it left before.
///
/// # Errors
/// When the database fails.
pub async fn insert(connection: &mut PgConnection, new: &NewMove) -> Result<bool, DbError> {
    // Whoever changes the address waits for this, and finds the move then.
    let there = query_scalar!(
        r#"SELECT true AS "there!" FROM stoa_platform.chat_instances
           WHERE id = $1 AND database_generation = $2 AND status <> 'deleting' FOR UPDATE"#,
        new.instance.as_uuid(),
        new.generation,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if there.is_none() {
        return Ok(false);
    }
    let facts = new.to.facts.as_ref();
    let facts = facts.and_then(|facts| serde_json::to_value(facts).ok());
    let done = query!(
        "INSERT INTO stoa_platform.database_moves
             (id, instance_id, phase, from_mode, from_host, to_mode, to_host, to_address_sealed,
              to_facts, to_supabase_url, to_supabase_sealed, created_at)
         SELECT $1, $2, 'queued', $3, $4, $5, $6, $7, $8, $9, $10, $11
         WHERE NOT EXISTS (SELECT FROM stoa_platform.database_moves
                           WHERE instance_id = $2 AND (phase NOT IN ('done', 'cancelled', 'failed')
                               OR phase = 'done' AND previous_dropped_at IS NULL))",
        new.id.as_uuid(),
        new.instance.as_uuid(),
        new.from_mode.as_str(),
        new.from_host,
        new.to_mode.as_str(),
        new.to.host,
        new.to.address_sealed,
        facts,
        new.to.supabase_url,
        new.to.supabase_sealed,
        new.created_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The move with this id.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, id: MoveId) -> Result<Option<Move>, DbError> {
    let row = select_moves!("WHERE id = $1", id.as_uuid(),);
    let row = row.fetch_optional(connection).await?;
    row.map(Move::try_from).transpose()
}

/// An instance's latest move.
///
/// # Errors
/// When the database fails.
pub async fn find_latest(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<Option<Move>, DbError> {
    let row = select_moves!(
        "WHERE instance_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1",
        instance.as_uuid(),
    );
    let row = row.fetch_optional(connection).await?;
    row.map(Move::try_from).transpose()
}

/// The move that an instance is in.
///
/// # Errors
/// When the database fails.
pub async fn find_under_way(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<Option<Move>, DbError> {
    let row = select_moves!(
        "WHERE instance_id = $1 AND phase NOT IN ('done', 'cancelled', 'failed')",
        instance.as_uuid(),
    );
    let row = row.fetch_optional(connection).await?;
    row.map(Move::try_from).transpose()
}

/// The move whose former database is still there.
///
/// # Errors
/// When the database fails.
pub async fn find_kept(
    connection: &mut PgConnection,
    instance: InstanceId,
) -> Result<Option<Move>, DbError> {
    let row = select_moves!(
        "WHERE instance_id = $1 AND phase IN ('switched', 'done') AND previous_dropped_at IS NULL
         ORDER BY created_at DESC LIMIT 1",
        instance.as_uuid(),
    );
    let row = row.fetch_optional(connection).await?;
    row.map(Move::try_from).transpose()
}

/// Notes, in the transaction that gives the instance its new address, that the move has happened,
/// and ends the pause. The database that is left must have been found closed by this move: that is
/// what counts, whatever phase was noted last. `false` when somebody else has noted it.
///
/// # Errors
/// When the database fails.
pub async fn switch(
    connection: &mut PgConnection,
    found: &Move,
    previous_sealed: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.database_moves
         SET phase = 'switched', switched_at = $3, previous_sealed = $2, to_address_sealed = NULL,
             to_supabase_sealed = NULL, ends_as = NULL, error_code = NULL, error = NULL
         WHERE id = $1 AND phase NOT IN ('switched', 'done', 'cancelled', 'failed')",
        found.id.as_uuid(),
        previous_sealed,
        now,
    )
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    query!(
        "UPDATE stoa_platform.chat_instances SET database_paused_until = NULL WHERE id = $1",
        found.instance.as_uuid(),
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, found.instance).await?;
    Ok(true)
}

/// Notes that the former database is gone, and forgets its address.
///
/// # Errors
/// When the database fails.
pub async fn drop_previous(
    connection: &mut PgConnection,
    id: MoveId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.database_moves SET previous_dropped_at = $2, previous_sealed = NULL
         WHERE id = $1 AND phase = 'done' AND previous_dropped_at IS NULL",
        id.as_uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Moves that are not over and that no job of this kind will carry on: it was tried too often.
///
/// # Errors
/// When the database fails.
pub async fn without_job(
    connection: &mut PgConnection,
    kind: &str,
) -> Result<Vec<(MoveId, InstanceId)>, DbError> {
    let rows = query!(
        "SELECT m.id, m.instance_id FROM stoa_platform.database_moves m
         WHERE m.phase NOT IN ('done', 'cancelled', 'failed')
           AND NOT EXISTS (SELECT FROM stoa_platform.jobs j
                           WHERE j.kind = $1 AND j.unique_key = m.id::text AND j.state IN ('queued', 'running'))
         ORDER BY m.id LIMIT 100",
        kind,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                MoveId::from_uuid(row.id),
                InstanceId::from_uuid(row.instance_id),
            )
        })
        .collect())
}
