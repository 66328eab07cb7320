//! Reading columns of rows that an untrusted server sent.

use std::str::FromStr;

use postgres_types::FromSql;
use tokio_postgres::Row;

use crate::error::ClientDbError;

/// The column `name`, as a `T`.
pub(crate) fn column<'a, T: FromSql<'a>>(
    row: &'a Row,
    name: &'static str,
) -> Result<T, ClientDbError> {
    row.try_get(name)
        .map_err(|_| ClientDbError::Unreadable { what: name })
}

/// The column `name`, which holds one of a fixed set of words.
pub(crate) fn word<T: FromStr>(row: &Row, name: &'static str) -> Result<T, ClientDbError> {
    column::<&str>(row, name)?
        .parse()
        .map_err(|_| ClientDbError::Unreadable { what: name })
}

/// The column `name`, which holds one of a fixed set of words or nothing.
pub(crate) fn optional_word<T: FromStr>(
    row: &Row,
    name: &'static str,
) -> Result<Option<T>, ClientDbError> {
    column::<Option<&str>>(row, name)?
        .map(|text| {
            text.parse()
                .map_err(|_| ClientDbError::Unreadable { what: name })
        })
        .transpose()
}

/// The column `name`, which holds JSON of a known shape.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &Row,
    name: &'static str,
) -> Result<T, ClientDbError> {
    let value: serde_json::Value = column(row, name)?;
    serde_json::from_value(value).map_err(|_| ClientDbError::Unreadable { what: name })
}

/// Finds the single row of a statement that yields at most one.
pub(crate) fn one<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, ClientDbError>,
) -> Result<Option<T>, ClientDbError> {
    rows.first().map(read).transpose()
}

/// Reads every row.
pub(crate) fn all<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, ClientDbError>,
) -> Result<Vec<T>, ClientDbError> {
    rows.iter().map(read).collect()
}
