//! The side that is moved away from: noting what changes, and closing it in the end.

use postgres_types::Type;
use stoa_domain::MoveId;
use tokio_postgres::error::SqlState;

use super::plan::{Plan, Table};
use crate::{
    connection::{ClientConnection, Transaction},
    error::ClientDbError,
    row::{all, column, one},
};

/// What a database says of having been moved away from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// Nothing.
    None,
    /// This move is under way.
    UnderWay(MoveId),
    /// This move was completed: whoever writes here is refused.
    Departed(MoveId),
}

/// The tables of a departure, and the functions that refuse. The server's own words are for whoever
/// looks into an old database by hand.
const PREPARE: &str = "
SET LOCAL lock_timeout = '2s';
CREATE TABLE IF NOT EXISTS stoa.move_departure (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    move_id uuid NOT NULL,
    departed_at timestamptz
);
CREATE TABLE IF NOT EXISTS stoa.moved_changes (
    position bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    relation text NOT NULL,
    key jsonb NOT NULL
);
ALTER TABLE stoa.move_departure ENABLE ROW LEVEL SECURITY;
ALTER TABLE stoa.moved_changes ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON stoa.move_departure, stoa.moved_changes FROM PUBLIC;
CREATE OR REPLACE FUNCTION stoa.refuse_departed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
    RAISE EXCEPTION 'everything was moved to another database; this one is kept as it was'
        USING ERRCODE = 'MOVED';
END
$body$;
CREATE OR REPLACE FUNCTION stoa.refuse_truncation() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
    RAISE EXCEPTION 'stoa.% is being moved: delete rows instead', TG_TABLE_NAME;
END
$body$;
REVOKE ALL ON FUNCTION stoa.refuse_departed(), stoa.refuse_truncation() FROM PUBLIC;
";

/// Reads what the database says.
///
/// # Errors
///
/// See [`ClientDbError`].
pub async fn state(connection: &ClientConnection) -> Result<Departure, ClientDbError> {
    let rows = connection
        .query(
            "SELECT move_id, departed_at IS NOT NULL AS departed FROM stoa.move_departure",
            &[],
        )
        .await;
    let rows = match rows {
        Err(error) if error.sqlstate() == Some(SqlState::UNDEFINED_TABLE.code()) => {
            return Ok(Departure::None);
        }
        rows => rows?,
    };
    let found = one(&rows, |row| {
        let id = MoveId::from_uuid(column(row, "move_id")?);
        Ok(if column(row, "departed")? {
            Departure::Departed(id)
        } else {
            Departure::UnderWay(id)
        })
    })?;
    Ok(found.unwrap_or(Departure::None))
}

/// Sees to it that every change from here on is noted. When it returns, whoever wrote without being
/// noted has ended. Can be run again; tables that have their trigger are left alone.
///
/// # Errors
///
/// See [`ClientDbError`]: a table in use by a long transaction is not waited for.
pub async fn capture(
    connection: &mut ClientConnection,
    plan: &Plan,
    id: MoveId,
) -> Result<(), ClientDbError> {
    let transaction = connection.begin().await?;
    transaction.run_script(PREPARE).await?;
    transaction
        .execute(
            "INSERT INTO stoa.move_departure AS d (move_id) VALUES ($1)
             ON CONFLICT (only_row) DO UPDATE SET move_id = excluded.move_id
             WHERE d.departed_at IS NULL",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    transaction.commit().await?;
    let noted = noted_tables(connection).await?;
    for table in &plan.tables {
        if !noted.contains(&table.name) {
            let transaction = connection.begin().await?;
            transaction.run_script(&note_changes_of(table)).await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}

/// Takes everything back that [`capture`] made, unless the database was closed. The client goes on
/// with it as if nothing had been.
///
/// # Errors
///
/// See [`ClientDbError`].
pub async fn release(connection: &mut ClientConnection) -> Result<(), ClientDbError> {
    if matches!(state(connection).await?, Departure::Departed(_)) {
        return Ok(());
    }
    for table in noted_tables(connection).await? {
        let transaction = connection.begin().await?;
        transaction
            .run_script(&format!(
                "SET LOCAL lock_timeout = '2s';
                 DROP FUNCTION IF EXISTS stoa.note_change_of_{table}() CASCADE;
                 DROP TRIGGER IF EXISTS stoa_moving_truncate ON stoa.{table};"
            ))
            .await?;
        transaction.commit().await?;
    }
    let transaction = connection.begin().await?;
    transaction
        .run_script(
            "SET LOCAL lock_timeout = '2s';
             DROP TABLE IF EXISTS stoa.moved_changes, stoa.move_departure;
             DROP FUNCTION IF EXISTS stoa.refuse_departed();
             DROP FUNCTION IF EXISTS stoa.refuse_truncation();",
        )
        .await?;
    transaction.commit().await
}

/// Locks every table against writes and only then looks: what this transaction sees is all there
/// will be. Gives up before PostgreSQL looks for a deadlock, so that never a visitor's statement
/// is the one that is ended for it.
pub(super) async fn lock<'a>(
    connection: &'a mut ClientConnection,
    plan: &Plan,
) -> Result<Transaction<'a>, ClientDbError> {
    let tables: Vec<String> = plan
        .tables
        .iter()
        .map(|table| format!("stoa.{}", table.name))
        .collect();
    let transaction = connection.begin().await?;
    transaction
        .run_script(&format!(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
             SET LOCAL lock_timeout = '700ms';
             LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE;",
            tables.join(", ")
        ))
        .await?;
    Ok(transaction)
}

/// Closes the database: whoever wants to write is refused from the commit on.
pub(super) async fn close(
    transaction: &Transaction<'_>,
    id: MoveId,
) -> Result<bool, ClientDbError> {
    transaction
        .run_script(
            "CREATE TRIGGER departed BEFORE INSERT ON stoa.moved_changes
             FOR EACH STATEMENT EXECUTE FUNCTION stoa.refuse_departed();",
        )
        .await?;
    let changed = transaction
        .execute(
            "UPDATE stoa.move_departure SET departed_at = pg_catalog.now()
             WHERE move_id = $1 AND departed_at IS NULL",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

async fn noted_tables(connection: &ClientConnection) -> Result<Vec<String>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT c.relname::text AS name
             FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
             WHERE c.relnamespace = pg_catalog.to_regnamespace('stoa') AND t.tgname = 'stoa_moving'
               AND c.relname ~ '^[a-z0-9_]+$'",
            &[],
        )
        .await?;
    all(&rows, |row| column(row, "name"))
}

/// The trigger of one table. Its function names the columns of the key, since turning a whole row
/// into JSON to look for them would cost as much as the row. It runs with its owner's rights, so
/// that whoever may write to the table needs none on the notes.
fn note_changes_of(table: &Table) -> String {
    let Table { name, .. } = table;
    let key_of = |row: &str| {
        let parts: Vec<String> = table
            .key
            .iter()
            .map(|(column, _)| format!("'{column}', {row}.{column}"))
            .collect();
        format!("jsonb_build_object({})", parts.join(", "))
    };
    let note = |row: &str| {
        let key = key_of(row);
        format!("INSERT INTO stoa.moved_changes (relation, key) VALUES ('{name}', {key});")
    };
    let (old, new) = (note("OLD"), note("NEW"));
    let (old_key, new_key) = (key_of("OLD"), key_of("NEW"));
    format!(
        "SET LOCAL lock_timeout = '2s';
CREATE OR REPLACE FUNCTION stoa.note_change_of_{name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {new}
        RETURN NULL;
    END IF;
    {old}
    IF TG_OP = 'UPDATE' AND {old_key} <> {new_key} THEN
        {new}
    END IF;
    RETURN NULL;
END
$body$;
REVOKE ALL ON FUNCTION stoa.note_change_of_{name}() FROM PUBLIC;
CREATE OR REPLACE TRIGGER stoa_moving_truncate BEFORE TRUNCATE ON stoa.{name}
    FOR EACH STATEMENT EXECUTE FUNCTION stoa.refuse_truncation();
CREATE OR REPLACE TRIGGER stoa_moving AFTER INSERT OR UPDATE OR DELETE ON stoa.{name}
    FOR EACH ROW EXECUTE FUNCTION stoa.note_change_of_{name}();
"
    )
}
