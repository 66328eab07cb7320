//! Proving that rows are the same on both sides: their number, and the sum of a hash of each.
//!
//! The hash is of the row as text. How values are written is pinned in [`super::rounds`], and is the
//! same from PostgreSQL 14 to 18; SHA-256 is the same everywhere, which PostgreSQL's own hashes do
//! not promise. A sum does not care for order. Against accidents, not against a forger: both
//! databases are the client's own.

use super::{MovingError, at_destination, at_source, plan::Table};
use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

#[derive(Debug, PartialEq, Eq)]
struct Sum {
    rows: i64,
    sum: String,
}

/// Compares what two statements select, named `t` in both.
pub(super) async fn require_same(
    source: (&ClientConnection, &str),
    destination: (&ClientConnection, &str),
    table: &Table,
) -> Result<(), MovingError> {
    let (here, there) = tokio::join!(
        sum_of(source.0, source.1, table),
        sum_of(destination.0, destination.1, table)
    );
    if here.map_err(at_source)? == there.map_err(at_destination)? {
        return Ok(());
    }
    Err(MovingError::Differs {
        table: table.name.clone(),
    })
}

async fn sum_of(
    connection: &ClientConnection,
    from: &str,
    table: &Table,
) -> Result<Sum, ClientDbError> {
    let columns: Vec<String> = table.columns.iter().map(|it| format!("t.{it}")).collect();
    let sql = format!(
        "SELECT pg_catalog.count(*) AS rows,
                coalesce(pg_catalog.sum(('x' || pg_catalog.encode(pg_catalog.substr(
                    pg_catalog.sha256(pg_catalog.convert_to(ROW({})::text, 'UTF8')), 1, 8), 'hex'
                ))::bit(64)::bigint), 0)::text AS sum
         FROM {from}",
        columns.join(", ")
    );
    let rows = connection.query(&sql, &[]).await?;
    one(&rows, |row| {
        Ok(Sum {
            rows: column(row, "rows")?,
            sum: column(row, "sum")?,
        })
    })?
    .ok_or(ClientDbError::Unreadable { what: "sum" })
}
