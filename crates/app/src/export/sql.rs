//! The archive's plain SQL: tables of types that every PostgreSQL has, their rows, and then what binds
//! them. Names are quoted; nothing else that a client's database says is written as SQL.

use std::fmt::Write as _;

use stoa_client_db::export::{Column, Table, quoted_list};

/// What comes before the rows.
pub(super) const BEFORE_DATA: &str =
    "SET standard_conforming_strings = on;\nSET client_encoding = 'UTF8';\nBEGIN;\n";
/// What ends a table's rows.
pub(super) const END_ROWS: &str = "\\.\n\n";

/// The tables with their keys.
pub(super) fn schema(tables: &[Table]) -> String {
    let mut sql = String::from("BEGIN;\nCREATE SCHEMA stoa;\n");
    for table in tables {
        let columns = table.columns.iter().map(definition);
        let keys = table.keys.iter().map(|key| {
            let kind = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
            format!("    {kind} ({})", quoted_list(&key.columns))
        });
        let lines: Vec<String> = columns.chain(keys).collect();
        let _ = write!(
            sql,
            "\nCREATE TABLE {} (\n{}\n);\n",
            table.quoted(),
            lines.join(",\n")
        );
    }
    sql.push_str("COMMIT;\n");
    sql
}

fn definition(column: &Column) -> String {
    let name = quoted_list(std::slice::from_ref(&column.name));
    let required = if column.required { " NOT NULL" } else { "" };
    format!("    {name} {}{required}", column.kind)
}

/// What a table's rows begin with.
pub(super) fn begin_rows(table: &Table) -> String {
    let names: Vec<String> = table.columns.iter().map(|it| it.name.clone()).collect();
    format!(
        "COPY {} ({}) FROM stdin;\n",
        table.quoted(),
        quoted_list(&names)
    )
}

/// What comes after the rows: the references, checked against all of them.
pub(super) fn after_data(tables: &[Table]) -> String {
    let mut sql = String::new();
    for table in tables {
        for reference in &table.references {
            let target = tables.iter().find(|it| it.name == reference.table);
            let Some(target) = target else { continue };
            let _ = writeln!(
                sql,
                "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({});",
                table.quoted(),
                quoted_list(&reference.columns),
                target.quoted(),
                quoted_list(&reference.target),
            );
        }
    }
    sql.push_str("COMMIT;\n");
    sql
}
