//! Everything in a client's database as it is at one moment, but for what only Stoa can use.
//!
//! Tables and columns are read from the catalog, so that one that a later version adds is not
//! forgotten. What comes from there is put into SQL as quoted identifiers only.

mod rows;
mod table;

pub use rows::{Original, line, unescaped};
pub use table::{Column, Key, Reference, Table, quoted_list};

use crate::{
    connection::{ClientConnection, Transaction},
    copy::CopyOut,
    error::ClientDbError,
    provision::quoted,
    row::column,
};

/// The most bytes of one table: 1 TiB.
const MOST_BYTES: u64 = 1 << 40;
/// The database at one moment: a transaction that sees no later change.
pub struct Snapshot<'a>(Transaction<'a>);

impl<'a> Snapshot<'a> {
    /// Begins it.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn begin(connection: &'a mut ClientConnection) -> Result<Self, ClientDbError> {
        let transaction = connection.begin().await?;
        transaction
            .run_script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .await?;
        Ok(Self(transaction))
    }

    /// Ends it, so that the connection can be used again.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn end(self) -> Result<(), ClientDbError> {
        self.0.rollback().await
    }

    /// The version of the schema.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn schema_version(&self) -> Result<i32, ClientDbError> {
        let rows = self
            .0
            .query("SELECT schema_version FROM stoa.stoa_instance", &[])
            .await?;
        let version = rows.first().map(|row| column(row, "schema_version"));
        version.transpose()?.ok_or(ClientDbError::Unreadable {
            what: "stoa_instance",
        })
    }

    /// The tables, by name.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn tables(&self) -> Result<Vec<Table>, ClientDbError> {
        table::all_of(&self.0).await
    }

    /// Every row of a table as a JSON object, in the text format of `COPY`. The documents' original
    /// bytes are not among it: see [`Self::originals`].
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn objects(&self, table: &Table) -> Result<CopyOut<'_>, ClientDbError> {
        let columns = table.selected(|column| !table.is_original(column));
        let name = quoted(&table.name);
        let sql = format!(
            "COPY (SELECT pg_catalog.row_to_json(t) FROM (SELECT {columns} FROM stoa.{name}) t) TO STDOUT"
        );
        self.0.copy_out(&sql, MOST_BYTES).await
    }

    /// Every row of a table, in the text format of `COPY`.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn rows(&self, table: &Table) -> Result<CopyOut<'_>, ClientDbError> {
        let columns = table.selected(|_| true);
        let name = quoted(&table.name);
        let sql = format!("COPY (SELECT {columns} FROM stoa.{name}) TO STDOUT");
        self.0.copy_out(&sql, MOST_BYTES).await
    }

    /// Every document that has original bytes; [`Original::read`] reads a row.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn originals(&self) -> Result<CopyOut<'_>, ClientDbError> {
        let sql = "COPY (SELECT id, coalesce(file_name, ''), title, media_type, content
                         FROM stoa.documents WHERE content IS NOT NULL ORDER BY id) TO STDOUT";
        self.0.copy_out(sql, MOST_BYTES).await
    }
}
