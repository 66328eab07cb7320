//! The tables that are exported, as the catalog has them, without the columns that hold secrets.

use tokio_postgres::Row;

use crate::{
    connection::Transaction,
    error::ClientDbError,
    provision::quoted,
    row::{all, column},
};

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

/// The tables of the schema, by name.
pub(super) async fn all_of(snapshot: &Transaction<'_>) -> Result<Vec<Table>, ClientDbError> {
    let mut tables: Vec<Table> = Vec::new();
    for found in all(&snapshot.query(COLUMNS, &[]).await?, FoundColumn::read)? {
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
        &snapshot.query(CONSTRAINTS, &[]).await?,
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

    pub(super) fn is_original(&self, column: &Column) -> bool {
        self.name == "documents" && column.name == "content"
    }

    pub(super) fn selected(&self, wanted: impl Fn(&Column) -> bool) -> String {
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
