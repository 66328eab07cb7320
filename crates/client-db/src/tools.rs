//! The tools that a client has described for its bot: HTTP calls. Addresses and headers are stored
//! sealed and pass through here as bytes.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use serde_json::Value;
use stoa_domain::{ToolEffect, ToolId, ToolMethod};
use tokio_postgres::Row;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    page::{Cursor, Page, PageRequest},
    row::{all, column, one, word},
};

/// The version of the schema that brought tools.
const TOOLS_SINCE: i32 = 3;
/// The constraint that keeps names apart.
pub const NAME_TAKEN: &str = "tools_name_taken";

/// Selects whole tools, by what follows.
macro_rules! select_tools {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, description, parameters, method, writes, timeout_ms, enabled, sealed,
                    created_at, updated_at
             FROM stoa.tools ",
            $rest
        )
    };
}

/// What a person sets about a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSettings {
    /// What the model calls it.
    pub name: String,
    /// What the model is told of it.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// How it is called.
    pub method: ToolMethod,
    /// Whether a call changes something.
    pub effect: ToolEffect,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: i32,
    /// Whether the model is told of it at all.
    pub enabled: bool,
    /// The address and the headers, sealed as one.
    pub sealed: Vec<u8>,
}

/// A tool as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTool {
    /// Its id.
    pub id: ToolId,
    /// What a person set.
    pub settings: ToolSettings,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// All of them by name, at most 50. None in a database that is not up to date yet.
pub async fn list(connection: &ClientConnection) -> Result<Vec<StoredTool>, ClientDbError> {
    if connection.schema_version() < TOOLS_SINCE {
        return Ok(Vec::new());
    }
    let rows = connection
        .query(select_tools!("ORDER BY name, id LIMIT 50"), &[])
        .await?;
    all(&rows, read)
}

/// A page of them, newest first.
pub async fn page(
    connection: &ClientConnection,
    request: &PageRequest,
) -> Result<Page<StoredTool>, ClientDbError> {
    if connection.schema_version() < TOOLS_SINCE {
        return Ok(request.page(Vec::new(), place));
    }
    let rows = connection
        .query(
            select_tools!(
                "WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2)
                 ORDER BY created_at DESC, id DESC
                 LIMIT $3"
            ),
            &[
                (&request.after_time(), Type::TIMESTAMPTZ),
                (&request.after_id(), Type::UUID),
                (&request.rows_to_read(), Type::INT8),
            ],
        )
        .await?;
    Ok(request.page(all(&rows, read)?, place))
}

/// The one with this id.
pub async fn find(
    connection: &ClientConnection,
    id: ToolId,
) -> Result<Option<StoredTool>, ClientDbError> {
    if connection.schema_version() < TOOLS_SINCE {
        return Ok(None);
    }
    let rows = connection
        .query(
            select_tools!("WHERE id = $1"),
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    one(&rows, read)
}

/// Stores a new one, unless there are `most` already: then false.
///
/// # Errors
/// `Conflict` by [`NAME_TAKEN`]; `SchemaTooOld` in a database that is not up to date yet.
pub async fn insert(
    connection: &ClientConnection,
    id: ToolId,
    settings: &ToolSettings,
    most: i64,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    connection.require_schema(TOOLS_SINCE)?;
    let changed = connection
        .execute(
            "INSERT INTO stoa.tools
                (id, name, description, parameters, method, writes, timeout_ms, enabled, sealed,
                 created_at, updated_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10
             WHERE (SELECT count(*) FROM stoa.tools) < $11",
            &[
                (&id.as_uuid(), Type::UUID),
                (&settings.name, Type::TEXT),
                (&settings.description, Type::TEXT),
                (&settings.parameters, Type::JSONB),
                (&settings.method.as_str(), Type::TEXT),
                (&(settings.effect == ToolEffect::Write), Type::BOOL),
                (&settings.timeout_ms, Type::INT4),
                (&settings.enabled, Type::BOOL),
                (&settings.sealed, Type::BYTEA),
                (&now, Type::TIMESTAMPTZ),
                (&most, Type::INT8),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Replaces what a person set. False when there is none, or it was changed since `seen`, its
/// `updated_at` when it was read.
///
/// # Errors
/// `Conflict` by [`NAME_TAKEN`].
pub async fn update(
    connection: &ClientConnection,
    id: ToolId,
    settings: &ToolSettings,
    seen: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.tools
             SET name = $2, description = $3, parameters = $4, method = $5, writes = $6,
                 timeout_ms = $7, enabled = $8, sealed = $9, updated_at = $10
             WHERE id = $1 AND updated_at = $11",
            &[
                (&id.as_uuid(), Type::UUID),
                (&settings.name, Type::TEXT),
                (&settings.description, Type::TEXT),
                (&settings.parameters, Type::JSONB),
                (&settings.method.as_str(), Type::TEXT),
                (&(settings.effect == ToolEffect::Write), Type::BOOL),
                (&settings.timeout_ms, Type::INT4),
                (&settings.enabled, Type::BOOL),
                (&settings.sealed, Type::BYTEA),
                (&now, Type::TIMESTAMPTZ),
                (&seen, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes one. False when there is none.
pub async fn delete(connection: &ClientConnection, id: ToolId) -> Result<bool, ClientDbError> {
    if connection.schema_version() < TOOLS_SINCE {
        return Ok(false);
    }
    let changed = connection
        .execute(
            "DELETE FROM stoa.tools WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

fn place(tool: &StoredTool) -> Cursor {
    Cursor {
        at: tool.created_at,
        id: tool.id.as_uuid(),
    }
}

fn read(row: &Row) -> Result<StoredTool, ClientDbError> {
    let writes: bool = column(row, "writes")?;
    Ok(StoredTool {
        id: ToolId::from_uuid(column(row, "id")?),
        settings: ToolSettings {
            name: column(row, "name")?,
            description: column(row, "description")?,
            parameters: column(row, "parameters")?,
            method: word(row, "method")?,
            effect: if writes {
                ToolEffect::Write
            } else {
                ToolEffect::Read
            },
            timeout_ms: column(row, "timeout_ms")?,
            enabled: column(row, "enabled")?,
            sealed: column(row, "sealed")?,
        },
        created_at: column(row, "created_at")?,
        updated_at: column(row, "updated_at")?,
    })
}

#[cfg(test)]
#[path = "tools_behind_tests.rs"]
mod behind_tests;
