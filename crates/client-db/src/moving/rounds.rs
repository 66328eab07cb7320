//! Copying: everything once, then what has changed, round after round, and the last round under a
//! lock. Each is one snapshot of the source and one transaction at the destination, which therefore
//! always equals a moment of the source.

use std::time::{Duration, Instant};

use super::plan::{Plan, Table};
use super::{
    MovingError, Progress, TableProgress, Ticket, arrival, at_destination, at_source, departure,
    verify::require_same,
};
use crate::{
    connection::{ClientConnection, Transaction},
    error::ClientDbError,
    row::{column, one},
};

/// The most that a move carries: 256 GiB. A source can claim to have no end.
const MOST_BYTES: u64 = 256 * 1024 * 1024 * 1024;

/// How values are written, which the checksums rely on, and no deadlines of the server's own: a
/// snapshot stays open for as long as the copying takes.
const SETTINGS: &str = "
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL lock_timeout = '10s';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
";

/// How much is compared after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// What the round brought. Sound where everything was compared after an earlier round: what no
    /// key was noted of is as it was then on both sides.
    Changed,
    /// Everything.
    Whole,
}

/// What a round did.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// How many rows had changed.
    pub changes: u64,
    /// How long comparing took.
    pub compared_in: Duration,
}

/// Copies every row from one snapshot. Nothing is seen at the destination before all of it is.
///
/// # Errors
///
/// See [`MovingError`]. Then the destination is as empty as before.
pub async fn copy_everything(
    source: &mut ClientConnection,
    destination: &mut ClientConnection,
    plan: &Plan,
    ticket: Ticket,
    progress: &Progress,
) -> Result<(), MovingError> {
    let to = hold(destination, ticket).await?;
    arrival::empty(&to, plan).await.map_err(at_destination)?;
    let from = snapshot(source).await.map_err(at_source)?;
    progress.begin(counts(&from, plan).await.map_err(at_source)?);
    for table in &plan.tables {
        let columns = table.list();
        let out = format!("COPY stoa.{} ({columns}) TO STDOUT", table.name);
        let into = format!("COPY stoa.{} ({columns}) FROM STDIN", table.name);
        let watched = |rows| progress.copied(&table.name, rows);
        pipe((&from, &out), (&to, &into), progress, watched).await?;
    }
    forget_changes(&from).await.map_err(at_source)?;
    let copied = arrival::set_copied(&to, true).await;
    copied.map_err(at_destination)?;
    to.commit().await.map_err(at_destination)?;
    from.commit().await.map_err(at_source)?;
    // The planner knows nothing of tables that were just filled.
    for table in &plan.tables {
        let analyse = format!("ANALYZE stoa.{}", table.name);
        let analysed = destination.run_script(&analyse).await;
        analysed.map_err(at_destination)?;
    }
    Ok(())
}

/// Brings over what has changed since the round before.
///
/// # Errors
///
/// See [`MovingError`]. Then the destination is as it was.
pub async fn catch_up(
    source: &mut ClientConnection,
    destination: &mut ClientConnection,
    plan: &Plan,
    ticket: Ticket,
    check: Check,
    progress: &Progress,
) -> Result<Round, MovingError> {
    let to = hold(destination, ticket).await?;
    let from = snapshot(source).await.map_err(at_source)?;
    let round = bring_over(&from, &to, plan, check, progress).await?;
    to.commit().await.map_err(at_destination)?;
    from.commit().await.map_err(at_source)?;
    Ok(round)
}

/// The last round: locks the source, brings the rest over, and closes the source for good. When this
/// has returned without an error, the destination is the database.
///
/// # Errors
///
/// See [`MovingError`]; `InUse` when the tables could not be locked in a moment. After any error the
/// caller asks the source whether it was closed, since an answer to a commit can be lost.
pub async fn depart(
    source: &mut ClientConnection,
    destination: &mut ClientConnection,
    plan: &Plan,
    ticket: Ticket,
    check: Check,
    progress: &Progress,
) -> Result<(), MovingError> {
    let to = hold(destination, ticket).await?;
    let from = departure::lock(source, plan).await.map_err(at_source)?;
    from.run_script(SETTINGS).await.map_err(at_source)?;
    // A migration that came in between, by a newer version, has made other tables.
    let now = Plan::between(&from, &to).await?;
    if now != *plan {
        return Err(MovingError::Schema("they were changed meanwhile".into()));
    }
    bring_over(&from, &to, plan, check, progress).await?;
    carry_numbers(&from, &to, plan).await?;
    to.commit().await.map_err(at_destination)?;
    let closed = departure::close(&from, ticket.id).await;
    if !closed.map_err(at_source)? {
        return Err(MovingError::Superseded);
    }
    from.commit().await.map_err(at_source)
}

/// A transaction at the destination, for this worker alone. It is always begun before the source is
/// looked at: a snapshot older than another worker's round would undo that round.
async fn hold(
    destination: &mut ClientConnection,
    ticket: Ticket,
) -> Result<Transaction<'_>, MovingError> {
    let to = destination.begin().await.map_err(at_destination)?;
    to.run_script(SETTINGS).await.map_err(at_destination)?;
    arrival::hold(&to, ticket).await?;
    Ok(to)
}

async fn snapshot(source: &mut ClientConnection) -> Result<Transaction<'_>, ClientDbError> {
    let from = source.begin().await?;
    from.run_script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .await?;
    from.run_script(SETTINGS).await?;
    Ok(from)
}

async fn counts(
    connection: &ClientConnection,
    plan: &Plan,
) -> Result<Vec<TableProgress>, ClientDbError> {
    let mut counts = Vec::new();
    for table in &plan.tables {
        let rows = count(connection, &format!("stoa.{}", table.name)).await?;
        counts.push(TableProgress {
            table: table.name.clone(),
            copied: 0,
            of: rows,
        });
    }
    Ok(counts)
}

async fn count(connection: &ClientConnection, from: &str) -> Result<u64, ClientDbError> {
    let sql = format!("SELECT pg_catalog.count(*) AS rows FROM {from}");
    let rows = connection.query(&sql, &[]).await?;
    let count: Option<i64> = one(&rows, |row| column(row, "rows"))?;
    Ok(u64::try_from(count.unwrap_or_default()).unwrap_or_default())
}

/// Rows out of one statement and into another.
async fn pipe(
    (source, out): (&ClientConnection, &str),
    (destination, into): (&ClientConnection, &str),
    progress: &Progress,
    watched: impl Fn(u64),
) -> Result<(), MovingError> {
    let mut rows = source.copy_out(out, MOST_BYTES).await.map_err(at_source)?;
    let mut sink = destination.copy_in(into).await.map_err(at_destination)?;
    let mut count = 0;
    while let Some(row) = rows.next().await.map_err(at_source)? {
        progress.go_on()?;
        sink.send(row).await.map_err(at_destination)?;
        count += 1;
        watched(count);
    }
    sink.finish().await.map_err(at_destination)?;
    Ok(())
}

/// Rows whose keys were noted: deleted where they are gone, children first, then put as they are
/// now, parents first.
async fn bring_over(
    from: &Transaction<'_>,
    to: &Transaction<'_>,
    plan: &Plan,
    check: Check,
    progress: &Progress,
) -> Result<Round, MovingError> {
    let changes = count(from, "stoa.moved_changes").await.map_err(at_source)?;
    if changes > 0 {
        for table in &plan.tables {
            fetch(from, to, table, progress).await?;
        }
        for table in plan.tables.iter().rev() {
            let deleted = to.run_script(&table.delete_gone()).await;
            deleted.map_err(at_destination)?;
        }
        for table in &plan.tables {
            let put = to.run_script(&table.put_changed()).await;
            put.map_err(at_destination)?;
        }
    }
    let began = Instant::now();
    for table in &plan.tables {
        progress.go_on()?;
        let whole = format!("stoa.{} t", table.name);
        let (here, there) = match check {
            Check::Whole => (whole.clone(), whole),
            Check::Changed if changes > 0 => (table.changed_at_source(), table.changed_here()),
            Check::Changed => continue,
        };
        require_same((from, &here), (to, &there), table).await?;
    }
    let compared_in = began.elapsed();
    if changes > 0 {
        for table in &plan.tables {
            let tidied = to.run_script(&table.drop_fetched()).await;
            tidied.map_err(at_destination)?;
        }
        forget_changes(from).await.map_err(at_source)?;
    }
    Ok(Round {
        changes,
        compared_in,
    })
}

/// The keys that were noted of a table and the rows that they belong to, into tables of their own.
async fn fetch(
    from: &Transaction<'_>,
    to: &Transaction<'_>,
    table: &Table,
    progress: &Progress,
) -> Result<(), MovingError> {
    let Table { name, .. } = table;
    let (columns, key) = (table.list(), table.key_list());
    let made = to
        .run_script(&format!(
            "CREATE TABLE stoa.moving_keys_of_{name} AS SELECT {key} FROM stoa.{name} WITH NO DATA;
             CREATE TABLE stoa.moving_rows_of_{name} AS SELECT {columns} FROM stoa.{name} WITH NO DATA;"
        ))
        .await;
    made.map_err(at_destination)?;
    let keys = table.noted_keys();
    let out = format!("COPY (SELECT {key} FROM {keys} k) TO STDOUT");
    let into = format!("COPY stoa.moving_keys_of_{name} ({key}) FROM STDIN");
    pipe((from, &out), (to, &into), progress, |_| {}).await?;
    let rows: Vec<String> = table.columns.iter().map(|it| format!("t.{it}")).collect();
    let out = format!(
        "COPY (SELECT {} FROM {}) TO STDOUT",
        rows.join(", "),
        table.changed_at_source()
    );
    let into = format!("COPY stoa.moving_rows_of_{name} ({columns}) FROM STDIN");
    pipe((from, &out), (to, &into), progress, |_| {}).await
}

/// The notes that this snapshot saw, and no later ones: those of transactions that have not ended
/// are for the next round.
async fn forget_changes(from: &Transaction<'_>) -> Result<(), ClientDbError> {
    from.execute("DELETE FROM stoa.moved_changes", &[]).await?;
    Ok(())
}

/// Lets the sequences at the destination go on where those of the source stand.
async fn carry_numbers(
    from: &Transaction<'_>,
    to: &Transaction<'_>,
    plan: &Plan,
) -> Result<(), MovingError> {
    for table in &plan.tables {
        for numbered in &table.numbered {
            let sequence = format!(
                "pg_catalog.pg_get_serial_sequence('stoa.{}', '{numbered}')::pg_catalog.regclass",
                table.name
            );
            let sql = format!("SELECT pg_catalog.pg_sequence_last_value({sequence}) AS last");
            let rows = from.query(&sql, &[]).await.map_err(at_source)?;
            let last: Option<Option<i64>> =
                one(&rows, |row| column(row, "last")).map_err(at_source)?;
            if let Some(Some(last)) = last {
                let sql = format!("SELECT pg_catalog.setval({sequence}, {last})");
                to.query(&sql, &[]).await.map_err(at_destination)?;
            }
        }
    }
    Ok(())
}

impl Table {
    /// The keys that were noted of this table.
    fn noted_keys(&self) -> String {
        let typed: Vec<String> = self
            .key
            .iter()
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        format!(
            "(SELECT DISTINCT k.* FROM stoa.moved_changes c
              CROSS JOIN LATERAL pg_catalog.jsonb_to_record(c.key) AS k({})
              WHERE c.relation = '{}')",
            typed.join(", "),
            self.name
        )
    }

    fn changed_at_source(&self) -> String {
        let (keys, same) = (self.noted_keys(), self.same_key("t", "k"));
        format!("stoa.{} t JOIN {keys} k ON {same}", self.name)
    }

    fn changed_here(&self) -> String {
        let (name, same) = (&self.name, self.same_key("t", "k"));
        format!("stoa.{name} t JOIN stoa.moving_keys_of_{name} k ON {same}")
    }

    fn delete_gone(&self) -> String {
        let (name, key) = (&self.name, self.same_key("t", "k"));
        let still = self.same_key("r", "k");
        format!(
            "DELETE FROM stoa.{name} t USING stoa.moving_keys_of_{name} k WHERE {key}
             AND NOT EXISTS (SELECT FROM stoa.moving_rows_of_{name} r WHERE {still})"
        )
    }

    fn put_changed(&self) -> String {
        let (name, columns, key) = (&self.name, self.list(), self.key_list());
        let others: Vec<String> = self
            .columns
            .iter()
            .filter(|column| self.key.iter().all(|(name, _)| name != *column))
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let action = if others.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", others.join(", "))
        };
        format!(
            "INSERT INTO stoa.{name} ({columns}) OVERRIDING SYSTEM VALUE
             SELECT {columns} FROM stoa.moving_rows_of_{name}
             ON CONFLICT ({key}) DO {action}"
        )
    }

    fn drop_fetched(&self) -> String {
        let Self { name, .. } = self;
        format!("DROP TABLE stoa.moving_keys_of_{name}, stoa.moving_rows_of_{name}")
    }
}
