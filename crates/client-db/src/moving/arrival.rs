//! The side that is moved to: it must be empty, and only one worker at a time may fill it.

use postgres_types::Type;
use stoa_domain::MoveId;
use tokio_postgres::error::SqlState;

use super::{MovingError, Plan, Ticket, at_destination};
use crate::{
    connection::{ClientConnection, Transaction},
    error::ClientDbError,
    row::{column, one},
};

/// A row that says which move fills this database, by which worker, and whether everything was
/// copied once. Every round locks it first, so that rounds come one after the other.
const PREPARE: &str = "
SET LOCAL lock_timeout = '5s';
CREATE TABLE IF NOT EXISTS stoa.move_arrival (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    move_id uuid NOT NULL,
    token bigint NOT NULL,
    copied boolean NOT NULL DEFAULT false
);
ALTER TABLE stoa.move_arrival ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON stoa.move_arrival FROM PUBLIC;
";

/// Opens the database for a worker, and says whether everything was copied once already.
///
/// # Errors
///
/// `NotEmpty` when it holds rows that did not come with this move, `Superseded` when a later worker
/// was here.
pub async fn open(
    connection: &mut ClientConnection,
    plan: &Plan,
    ticket: Ticket,
) -> Result<bool, MovingError> {
    let transaction = connection.begin().await.map_err(at_destination)?;
    transaction
        .run_script(PREPARE)
        .await
        .map_err(at_destination)?;
    let copied = match found(&transaction).await.map_err(at_destination)? {
        Some(it) if it.id == ticket.id.as_uuid() => {
            if it.token > ticket.token {
                return Err(MovingError::Superseded);
            }
            it.copied
        }
        _ => {
            require_empty(&transaction, plan).await?;
            false
        }
    };
    transaction
        .execute(
            "INSERT INTO stoa.move_arrival (move_id, token, copied) VALUES ($1, $2, $3)
             ON CONFLICT (only_row) DO UPDATE
             SET move_id = excluded.move_id, token = excluded.token, copied = excluded.copied",
            &[
                (&ticket.id.as_uuid(), Type::UUID),
                (&ticket.token, Type::INT8),
                (&copied, Type::BOOL),
            ],
        )
        .await
        .map_err(at_destination)?;
    transaction.commit().await.map_err(at_destination)?;
    Ok(copied)
}

/// Whether what is in this database came with this move.
///
/// # Errors
///
/// See [`ClientDbError`].
pub async fn arrived_with(
    connection: &ClientConnection,
    id: MoveId,
) -> Result<bool, ClientDbError> {
    let found = found(connection).await?;
    Ok(found.is_some_and(|it| it.id == id.as_uuid()))
}

/// Takes the traces of the arrival away, once the database is in use.
///
/// # Errors
///
/// See [`ClientDbError`].
pub async fn close(connection: &ClientConnection) -> Result<(), ClientDbError> {
    connection
        .run_script("DROP TABLE IF EXISTS stoa.move_arrival")
        .await
}

/// Holds the database for this worker until the transaction ends.
pub(super) async fn hold(transaction: &Transaction<'_>, ticket: Ticket) -> Result<(), MovingError> {
    let found = found(transaction).await.map_err(at_destination)?;
    match found {
        Some(it) if it.id == ticket.id.as_uuid() && it.token == ticket.token => Ok(()),
        _ => Err(MovingError::Superseded),
    }
}

/// Empties the tables, for a copy that begins anew.
pub(super) async fn empty(transaction: &Transaction<'_>, plan: &Plan) -> Result<(), ClientDbError> {
    let tables: Vec<String> = plan
        .tables
        .iter()
        .map(|table| format!("stoa.{}", table.name))
        .collect();
    transaction
        .run_script(&format!("TRUNCATE {}", tables.join(", ")))
        .await
}

/// Notes whether everything was copied once.
pub(super) async fn set_copied(
    transaction: &Transaction<'_>,
    copied: bool,
) -> Result<(), ClientDbError> {
    transaction
        .execute(
            "UPDATE stoa.move_arrival SET copied = $1",
            &[(&copied, Type::BOOL)],
        )
        .await?;
    Ok(())
}

struct Arrival {
    id: uuid::Uuid,
    token: i64,
    copied: bool,
}

async fn found(connection: &ClientConnection) -> Result<Option<Arrival>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT move_id, token, copied FROM stoa.move_arrival FOR UPDATE",
            &[],
        )
        .await;
    let rows = match rows {
        Err(error) if error.sqlstate() == Some(SqlState::UNDEFINED_TABLE.code()) => Vec::new(),
        rows => rows?,
    };
    one(&rows, |row| {
        Ok(Arrival {
            id: column(row, "move_id")?,
            token: column(row, "token")?,
            copied: column(row, "copied")?,
        })
    })
}

async fn require_empty(connection: &ClientConnection, plan: &Plan) -> Result<(), MovingError> {
    for table in &plan.tables {
        let sql = format!("SELECT EXISTS (SELECT FROM stoa.{}) AS some", table.name);
        let rows = connection.query(&sql, &[]).await.map_err(at_destination)?;
        let some = one(&rows, |row| column::<bool>(row, "some")).map_err(at_destination)?;
        if some != Some(false) {
            return Err(MovingError::NotEmpty {
                table: table.name.clone(),
            });
        }
    }
    Ok(())
}
