//! What AI may cost.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::Budgets;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{json, one},
};

/// The first schema version that knows of budgets.
const SINCE: i32 = 3;

/// The budgets; `None` before they were first set, and in a schema that is one behind.
pub async fn get(connection: &ClientConnection) -> Result<Option<Budgets>, ClientDbError> {
    if connection.schema_version() < SINCE {
        return Ok(None);
    }
    let rows = connection
        .query("SELECT budgets FROM stoa.budgets", &[])
        .await?;
    one(&rows, |row| json(row, "budgets"))
}

/// Replaces the budgets.
///
/// # Errors
/// `SchemaTooOld` in a database that is not up to date yet.
pub async fn put(
    connection: &ClientConnection,
    budgets: &Budgets,
    now: DateTime<Utc>,
) -> Result<(), ClientDbError> {
    connection.require_schema(SINCE)?;
    let budgets =
        serde_json::to_value(budgets).map_err(|_| ClientDbError::Unreadable { what: "budgets" })?;
    connection
        .execute(
            "INSERT INTO stoa.budgets (budgets, updated_at) VALUES ($1, $2)
             ON CONFLICT (only_row) DO UPDATE
             SET budgets = excluded.budgets, updated_at = excluded.updated_at",
            &[(&budgets, Type::JSONB), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(())
}
