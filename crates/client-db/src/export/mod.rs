//! Everything in a client's database as it is at one moment, but for what only Stoa can use.
//!
//! Tables and columns are read from the catalog, so that one that a later version adds is not
//! forgotten. What comes from there is put into SQL as quoted identifiers only.

use bytes::Bytes;
use stoa_domain::DocumentId;
use tokio_postgres::Row;

use crate::{
    connection::{ClientConnection, Transaction},
    copy::CopyOut,
    error::ClientDbError,
    provision::quoted,
    row::{all, column},
};

/// The most bytes of one table: 1 TiB.
const MOST_BYTES: u64 = 1 << 40;
/// Answers that are kept for a day to be given again: nothing of a client's own.
const LEFT_OUT_TABLES: [&str; 1] = ["idempotency_keys"];
/// The types that every PostgreSQL has. What is of another type is exported as text.
const KNOWN_TYPES: [&str; 16] = [
    "bigint",
    "boolean",
    "bytea",
    "date",
    "double precision",
    "integer",
    "json",
    "jsonb",
    "numeric",
    "real",
    "smallint",
    "text",
    "text[]",
    "timestamp with time zone",
    "tsvector",
    "uuid",
];

/// The database at one moment: a transaction that sees no later change.
pub struct Snapshot<'a>(Transaction<'a>);

/// A table that is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The columns that hold secrets and are left out.
    pub left_out: Vec<String>,
    /// Its primary and unique keys.
    pub keys: Vec<Key>,
    /// What it refers to.
    pub references: Vec<Reference>,
}

/// A column that is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, one that every PostgreSQL has.
    pub kind: &'static str,
    /// Whether it always has a value.
    pub required: bool,
}

/// Columns whose values are unique together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whether it is the primary one.
    pub primary: bool,
    /// The columns.
    pub columns: Vec<String>,
}

/// Columns that name a row of another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The columns.
    pub columns: Vec<String>,
    /// The other table.
    pub table: String,
    /// Its columns.
    pub target: Vec<String>,
}

/// A document's original bytes, with what a file of them is named by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The document.
    pub id: DocumentId,
    /// The name of the file that was uploaded; empty where it was none.
    pub file_name: String,
    /// The title.
    pub title: String,
    /// The media type.
    pub media_type: String,
    /// The bytes.
    pub content: Vec<u8>,
}

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
        let mut tables: Vec<Table> = Vec::new();
        for found in all(&self.0.query(COLUMNS, &[]).await?, FoundColumn::read)? {
            if LEFT_OUT_TABLES.contains(&found.table.as_str()) {
                continue;
            }
            if tables.last().is_none_or(|last| last.name != found.table) {
                tables.push(Table {
                    name: found.table.clone(),
                    columns: Vec::new(),
                    left_out: Vec::new(),
                    keys: Vec::new(),
                    references: Vec::new(),
                });
            }
            if let Some(table) = tables.last_mut() {
                table.add(found);
            }
        }
        for found in all(
            &self.0.query(CONSTRAINTS, &[]).await?,
            FoundConstraint::read,
        )? {
            if let Some(table) = tables.iter_mut().find(|it| it.name == found.table) {
                table.bind(found);
            }
        }
        let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
        for table in &mut tables {
            table.references.retain(|it| names.contains(&it.table));
        }
        Ok(tables)
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

impl Table {
    /// A table's quoted name, with its schema.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("stoa.{}", quoted(&self.name))
    }

    fn add(&mut self, found: FoundColumn) {
        if is_secret(&found) {
            self.left_out.push(found.name);
            return;
        }
        let known = KNOWN_TYPES.iter().find(|known| **known == found.kind);
        self.columns.push(Column {
            name: found.name,
            kind: known.copied().unwrap_or("text"),
            required: found.required,
        });
    }

    fn bind(&mut self, found: FoundConstraint) {
        let is_whole = found
            .columns
            .iter()
            .all(|name| self.columns.iter().any(|column| column.name == *name));
        if !is_whole {
            return;
        }
        match found.kind.as_str() {
            "f" => self.references.push(Reference {
                columns: found.columns,
                table: found.target,
                target: found.target_columns,
            }),
            kind => self.keys.push(Key {
                primary: kind == "p",
                columns: found.columns,
            }),
        }
    }

    fn is_original(&self, column: &Column) -> bool {
        self.name == "documents" && column.name == "content"
    }

    fn selected(&self, wanted: impl Fn(&Column) -> bool) -> String {
        let names = self.columns.iter().filter(|column| wanted(column));
        let names: Vec<String> = names.map(|column| quoted(&column.name)).collect();
        names.join(", ")
    }
}

/// Whether a column holds a secret: sealed, or the hash of a token or a key.
fn is_secret(found: &FoundColumn) -> bool {
    let name = found.name.as_str();
    found.kind == "bytea"
        && (name.starts_with("sealed")
            || name.ends_with("sealed")
            || name.ends_with("_hash")
            || name.contains("secret"))
}

/// A list of quoted identifiers.
#[must_use]
pub fn quoted_list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}

impl Original {
    /// Reads a row of [`Snapshot::originals`].
    ///
    /// # Errors
    ///
    /// `Unreadable` when it is none.
    pub fn read(row: &Bytes) -> Result<Self, ClientDbError> {
        let wrong = || ClientDbError::Unreadable { what: "documents" };
        let row = line(row)?;
        let mut fields = row.split(|byte| *byte == b'\t');
        let mut text = || -> Result<String, ClientDbError> {
            let field = fields.next().ok_or_else(wrong)?;
            String::from_utf8(unescaped(field)).map_err(|_| wrong())
        };
        let (id, file_name, title, media_type) = (text()?, text()?, text()?, text()?);
        let content = fields.next().ok_or_else(wrong)?;
        let digits = content.strip_prefix(br"\\x").ok_or_else(wrong)?;
        Ok(Self {
            id: id.parse().map_err(|_| wrong())?,
            file_name,
            title,
            media_type,
            content: from_hexadecimal(digits).ok_or_else(wrong)?,
        })
    }
}

/// A row of `COPY`'s text format without its line's end: exactly one line, and not the one that ends
/// the data. What a client's database sends ends up between `COPY … FROM stdin` and `\.`, and must not
/// get out of there.
///
/// # Errors
///
/// `Unreadable` when it is something else.
pub fn line(row: &Bytes) -> Result<&[u8], ClientDbError> {
    let wrong = ClientDbError::Unreadable { what: "a row" };
    match row.strip_suffix(b"\n") {
        Some(line) if !line.contains(&b'\n') && !line.contains(&b'\r') && line != br"\." => {
            Ok(line)
        }
        _ => Err(wrong),
    }
}

/// A row's single field in the clear.
#[must_use]
pub fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        plain.push(match bytes.next() {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(&other) => other,
            None => b'\\',
        });
    }
    plain
}

fn from_hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

struct FoundColumn {
    table: String,
    name: String,
    kind: String,
    required: bool,
}

impl FoundColumn {
    fn read(row: &Row) -> Result<Self, ClientDbError> {
        Ok(Self {
            table: column(row, "table_name")?,
            name: column(row, "name")?,
            kind: column(row, "kind")?,
            required: column(row, "required")?,
        })
    }
}

struct FoundConstraint {
    table: String,
    kind: String,
    columns: Vec<String>,
    target: String,
    target_columns: Vec<String>,
}

impl FoundConstraint {
    fn read(row: &Row) -> Result<Self, ClientDbError> {
        Ok(Self {
            table: column(row, "table_name")?,
            kind: column(row, "kind")?,
            columns: column(row, "columns")?,
            target: column(row, "target")?,
            target_columns: column(row, "target_columns")?,
        })
    }
}

const COLUMNS: &str = "
SELECT c.relname::text AS table_name, a.attname::text AS name,
       pg_catalog.format_type(a.atttypid, NULL) AS kind, a.attnotnull AS required
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = 'stoa' AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
";

const CONSTRAINTS: &str = "
SELECT c.relname::text AS table_name, con.contype::text AS kind,
       ARRAY(
           SELECT a.attname::text
           FROM pg_catalog.unnest(con.conkey) WITH ORDINALITY k (number, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.number
           ORDER BY k.place
       ) AS columns,
       coalesce(target.relname::text, '') AS target,
       ARRAY(
           SELECT a.attname::text
           FROM pg_catalog.unnest(con.confkey) WITH ORDINALITY k (number, place)
           JOIN pg_catalog.pg_attribute a ON a.attrelid = con.confrelid AND a.attnum = k.number
           ORDER BY k.place
       ) AS target_columns
FROM pg_catalog.pg_constraint con
JOIN pg_catalog.pg_class c ON c.oid = con.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class target
    ON target.oid = con.confrelid AND target.relnamespace = n.oid
WHERE n.nspname = 'stoa' AND con.contype IN ('p', 'u', 'f')
ORDER BY c.relname, con.conname
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_cannot_end_the_data_or_begin_another_line() {
        let taken = |text: &'static str| line(&Bytes::from_static(text.as_bytes())).is_ok();
        assert!(taken("a\\\\.\tb\n") && taken("\n") && taken("\\.x\n"));
        for wrong in ["a", "a\nb\n", "\\.\n", "\\.\n\\! id\n", "a\r\n"] {
            assert!(!taken(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_document_is_read_from_its_row() {
        let row = "018f0000-0000-7000-8000-000000000001\ta\\tb\\\\c\tT\ttext/plain\t\\\\x00ffE9\n";
        let read = Original::read(&Bytes::from_static(row.as_bytes())).unwrap();
        assert_eq!(read.file_name, "a\tb\\c");
        assert_eq!(read.content, [0x00, 0xff, 0xe9]);
        for wrong in [
            "x\ty\tz\tt\t\\\\x00\n",
            "018f0000-0000-7000-8000-000000000001\ta\tb\tc\n",
        ] {
            assert!(Original::read(&Bytes::from_static(wrong.as_bytes())).is_err());
        }
        assert!(from_hexadecimal(b"abc").is_none() && from_hexadecimal(b"zz").is_none());
    }
}
