//! Which tables and columns are moved, in which order: read from both catalogs, so that a migration
//! needs no line here.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use super::{MovingError, at_destination, at_source};
use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{all, column},
};

/// Tables that each database has for itself.
const OF_ITS_OWN: [&str; 6] = [
    "stoa_instance",
    "schema_migrations",
    "moved_changes",
    "move_departure",
    "move_arrival",
    "preflight_of_stoa",
];
/// Columns that only make sense where both databases have pgvector. Without vectors at the
/// destination a passage is one that was not embedded.
const WITH_VECTORS: [(&str, &str); 3] = [
    ("document_chunks", "embedding"),
    ("document_chunks", "embedding_model"),
    ("documents", "embedding_model"),
];

/// What is moved, parents before children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(super) tables: Vec<Table>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// Without generated ones.
    pub(super) columns: Vec<String>,
    /// Of the primary key, with their types.
    pub(super) key: Vec<(String, String)>,
    /// Those that are numbered by a sequence.
    pub(super) numbered: Vec<String>,
}

impl Plan {
    /// What is moved from one database to the other, both of which are up to date.
    ///
    /// # Errors
    ///
    /// `Schema` when one lacks what the other has.
    pub async fn between(
        source: &ClientConnection,
        destination: &ClientConnection,
    ) -> Result<Self, MovingError> {
        let with_vectors = source.has_vectors() && destination.has_vectors();
        let ours = read(destination, with_vectors)
            .await
            .map_err(at_destination)?;
        let theirs = read(source, with_vectors).await.map_err(at_source)?;
        let mut tables = Vec::new();
        for table in &ours.tables {
            let same = theirs.tables.iter().find(|it| it.name == table.name);
            let same =
                same.ok_or_else(|| MovingError::Schema(format!("{} is missing", table.name)))?;
            let columns = |it: &Table| it.columns.iter().cloned().collect::<BTreeSet<_>>();
            if columns(same) != columns(table) || same.key != table.key || table.key.is_empty() {
                return Err(MovingError::Schema(format!(
                    "{} is not the same",
                    table.name
                )));
            }
            tables.push(table.clone());
        }
        let tables = parents_first(tables, &ours.parents)?;
        Ok(Self { tables })
    }
}

impl Plan {
    /// The tables of one database.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub async fn of(connection: &ClientConnection) -> Result<Self, ClientDbError> {
        let catalog = read(connection, connection.has_vectors()).await?;
        let tables = catalog.tables;
        Ok(Self { tables })
    }
}

struct Catalog {
    tables: Vec<Table>,
    /// Child and parent.
    parents: Vec<(String, String)>,
}

async fn read(connection: &ClientConnection, with_vectors: bool) -> Result<Catalog, ClientDbError> {
    let rows = connection
        .query(
            "SELECT c.relname::text AS table_name, a.attname::text AS column_name,
                    pg_catalog.format_type(a.atttypid, NULL) AS kind,
                    a.attidentity <> '' AS numbered,
                    pg_catalog.array_position(i.indkey::int2[], a.attnum) AS in_key
             FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
             LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
             WHERE c.relnamespace = pg_catalog.to_regnamespace('stoa') AND c.relkind = 'r'
             ORDER BY c.relname, in_key, a.attnum",
            &[],
        )
        .await?;
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for found in all(&rows, Found::read)? {
        let left_out =
            !with_vectors && WITH_VECTORS.contains(&(found.table.as_str(), found.column.as_str()));
        if left_out || OF_ITS_OWN.contains(&found.table.as_str()) || !found.is_plain() {
            continue;
        }
        let table = tables.entry(found.table.clone()).or_insert_with(|| Table {
            name: found.table.clone(),
            columns: Vec::new(),
            key: Vec::new(),
            numbered: Vec::new(),
        });
        table.columns.push(found.column.clone());
        if found.in_key {
            table.key.push((found.column.clone(), found.kind));
        }
        if found.numbered {
            table.numbered.push(found.column);
        }
    }
    let rows = connection
        .query(
            "SELECT child.relname::text AS child, parent.relname::text AS parent
             FROM pg_catalog.pg_constraint k
             JOIN pg_catalog.pg_class child ON child.oid = k.conrelid
             JOIN pg_catalog.pg_class parent ON parent.oid = k.confrelid
             WHERE k.contype = 'f' AND k.connamespace = pg_catalog.to_regnamespace('stoa')
               AND child.oid <> parent.oid",
            &[],
        )
        .await?;
    Ok(Catalog {
        tables: tables.into_values().collect(),
        parents: all(&rows, |row| {
            Ok((column(row, "child")?, column(row, "parent")?))
        })?,
    })
}

struct Found {
    table: String,
    column: String,
    kind: String,
    numbered: bool,
    in_key: bool,
}

impl Found {
    fn read(row: &Row) -> Result<Self, ClientDbError> {
        Ok(Self {
            table: column(row, "table_name")?,
            column: column(row, "column_name")?,
            kind: column(row, "kind")?,
            numbered: column(row, "numbered")?,
            in_key: column::<Option<i32>>(row, "in_key")?.is_some(),
        })
    }

    /// Our own names are letters, digits and underscores, and go into statements as they are. What
    /// else is there is not ours, and the names come from a server that nobody has to trust.
    fn is_plain(&self) -> bool {
        let plain = |text: &str, more: &[u8]| {
            let fits = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
            text.bytes().all(|it| fits(it) || more.contains(&it))
        };
        plain(&self.table, b"")
            && plain(&self.column, b"")
            && (!self.in_key || plain(&self.kind, b" "))
    }
}

fn parents_first(
    tables: Vec<Table>,
    parents: &[(String, String)],
) -> Result<Vec<Table>, MovingError> {
    let mut ordered: Vec<Table> = Vec::new();
    let mut waiting = tables;
    while !waiting.is_empty() {
        let is_waiting = |name: &str| waiting.iter().any(|it| it.name == name);
        let ready = waiting.iter().position(|table| {
            let mut of_it = parents.iter().filter(|(child, _)| *child == table.name);
            of_it.all(|(_, parent)| !is_waiting(parent))
        });
        let Some(ready) = ready else {
            return Err(MovingError::Schema(
                "tables refer to each other in a ring".into(),
            ));
        };
        ordered.push(waiting.remove(ready));
    }
    Ok(ordered)
}

impl Table {
    /// The columns, for a statement.
    pub(super) fn list(&self) -> String {
        self.columns.join(", ")
    }

    /// The columns of the key, for a statement.
    pub(super) fn key_list(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    }

    /// Whether `a` and `b` have the same key.
    pub(super) fn same_key(&self, a: &str, b: &str) -> String {
        let pairs: Vec<String> = self
            .key
            .iter()
            .map(|(name, _)| format!("{a}.{name} = {b}.{name}"))
            .collect();
        pairs.join(" AND ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table {
            name: name.into(),
            columns: Vec::new(),
            key: Vec::new(),
            numbered: Vec::new(),
        }
    }

    #[test]
    fn parents_come_before_their_children_and_a_ring_is_refused() {
        let pair = |child: &str, parent: &str| (child.to_owned(), parent.to_owned());
        let parents = [pair("a", "b"), pair("b", "c"), pair("a", "elsewhere")];
        let tables = ["a", "b", "c", "d"].map(table).to_vec();
        let ordered = parents_first(tables.clone(), &parents).unwrap();
        let place = |name: &str| ordered.iter().position(|it| it.name == name).unwrap();
        assert!(place("c") < place("b") && place("b") < place("a"));
        assert_eq!(ordered.len(), 4);
        let ring = [pair("a", "b"), pair("b", "a")];
        assert!(matches!(
            parents_first(tables, &ring),
            Err(MovingError::Schema(_))
        ));
    }
}
