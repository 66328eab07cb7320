//! The MCP servers whose tools a client gives its bot. Addresses and headers are stored sealed and
//! pass through here as bytes.
//!
//! What a server offers and what a person allows of it are two columns, so that neither writes over
//! the other: a tool is used where both agree.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stoa_domain::{McpServerId, ToolEffect};
use tokio_postgres::Row;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{all, column, json as parsed, one},
};

/// The version of the schema that brought MCP servers.
const SERVERS_SINCE: i32 = 3;
/// The constraint that keeps names apart.
pub const NAME_TAKEN: &str = "mcp_servers_name_taken";

/// Selects whole servers, by what follows.
macro_rules! select_servers {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, enabled, sealed, allowed, version, listed, left_out, listed_at,
                    list_error, created_at, updated_at
             FROM stoa.mcp_servers ",
            $rest
        )
    };
}

/// What a person sets about a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServerSettings {
    /// Stands before the names of its tools.
    pub name: String,
    /// Whether its tools are used at all.
    pub enabled: bool,
    /// The address and the headers, sealed as one.
    pub sealed: Vec<u8>,
}

/// A tool that a person has looked at and allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedTool {
    /// What the server calls it.
    pub name: String,
    /// What the person says of its calls.
    pub effect: ToolEffect,
    /// A hash of what was looked at.
    pub seen: String,
}

/// A tool that a server offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfferedTool {
    /// What the server calls it.
    pub name: String,
    /// What the server says of it.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// Whether the server says that it only reads.
    pub read_only: bool,
}

/// A tool that a server offers and that is not of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutTool {
    /// Its name, where it can be shown.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a server offered when it was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The version of MCP that it speaks.
    pub version: String,
    /// Its tools.
    pub tools: Vec<OfferedTool>,
    /// Those that are not of use.
    pub left_out: Vec<LeftOutTool>,
}

/// A server as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMcpServer {
    /// Its id.
    pub id: McpServerId,
    /// What a person set.
    pub settings: McpServerSettings,
    /// What a person allows of it.
    pub allowed: Vec<AllowedTool>,
    /// The version of MCP that it was found to speak.
    pub version: Option<String>,
    /// What it offered when it last answered; of [`in_use`] only what is allowed as well.
    pub offered: Vec<OfferedTool>,
    /// What of that is not of use.
    pub left_out: Vec<LeftOutTool>,
    /// When it was last asked.
    pub listed_at: Option<DateTime<Utc>>,
    /// The code of why it did not answer then.
    pub list_error: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed by a person.
    pub updated_at: DateTime<Utc>,
}

/// All of them by name, at most 10. None in a database that is not up to date yet.
pub async fn list(connection: &ClientConnection) -> Result<Vec<StoredMcpServer>, ClientDbError> {
    if connection.schema_version() < SERVERS_SINCE {
        return Ok(Vec::new());
    }
    let rows = connection
        .query(select_servers!("ORDER BY name, id LIMIT 10"), &[])
        .await?;
    all(&rows, read)
}

/// Those that are enabled, by name, and of what they offer only the tools that are allowed: a
/// conversation needs no more, and a server may offer much.
pub async fn in_use(connection: &ClientConnection) -> Result<Vec<StoredMcpServer>, ClientDbError> {
    if connection.schema_version() < SERVERS_SINCE {
        return Ok(Vec::new());
    }
    let rows = connection
        .query(
            "SELECT s.id, s.name, s.enabled, s.sealed, s.allowed, s.version,
                    (SELECT coalesce(jsonb_agg(tool.it ORDER BY tool.place), '[]')
                     FROM jsonb_array_elements(s.listed) WITH ORDINALITY AS tool(it, place)
                     WHERE tool.it ->> 'name' IN
                        (SELECT a.it ->> 'name' FROM jsonb_array_elements(s.allowed) AS a(it))
                    ) AS listed,
                    '[]'::jsonb AS left_out, s.listed_at, s.list_error, s.created_at, s.updated_at
             FROM stoa.mcp_servers s WHERE s.enabled AND s.allowed <> '[]'
             ORDER BY s.name, s.id LIMIT 10",
            &[],
        )
        .await?;
    all(&rows, read)
}

/// The one with this id.
pub async fn find(
    connection: &ClientConnection,
    id: McpServerId,
) -> Result<Option<StoredMcpServer>, ClientDbError> {
    if connection.schema_version() < SERVERS_SINCE {
        return Ok(None);
    }
    let rows = connection
        .query(
            select_servers!("WHERE id = $1"),
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
    id: McpServerId,
    settings: &McpServerSettings,
    most: i64,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    connection.require_schema(SERVERS_SINCE)?;
    let changed = connection
        .execute(
            "INSERT INTO stoa.mcp_servers (id, name, enabled, sealed, created_at, updated_at)
             SELECT $1, $2, $3, $4, $5, $5
             WHERE (SELECT count(*) FROM stoa.mcp_servers) < $6",
            &[
                (&id.as_uuid(), Type::UUID),
                (&settings.name, Type::TEXT),
                (&settings.enabled, Type::BOOL),
                (&settings.sealed, Type::BYTEA),
                (&now, Type::TIMESTAMPTZ),
                (&most, Type::INT8),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Replaces what a person set and allows. One that is another server from now on (`moved`) has
/// offered nothing yet. False when there is none, or a person changed it since `seen`, its
/// `updated_at` when it was read.
///
/// # Errors
/// `Conflict` by [`NAME_TAKEN`].
pub async fn update(
    connection: &ClientConnection,
    id: McpServerId,
    settings: &McpServerSettings,
    allowed: &[AllowedTool],
    moved: bool,
    (seen, now): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.mcp_servers
             SET name = $2, enabled = $3, sealed = $4, allowed = $5, updated_at = $8,
                 version = CASE WHEN $6 THEN NULL ELSE version END,
                 listed = CASE WHEN $6 THEN '[]' ELSE listed END,
                 left_out = CASE WHEN $6 THEN '[]' ELSE left_out END,
                 listed_at = CASE WHEN $6 THEN NULL ELSE listed_at END,
                 list_error = CASE WHEN $6 THEN NULL ELSE list_error END
             WHERE id = $1 AND updated_at = $7",
            &[
                (&id.as_uuid(), Type::UUID),
                (&settings.name, Type::TEXT),
                (&settings.enabled, Type::BOOL),
                (&settings.sealed, Type::BYTEA),
                (&json!(allowed), Type::JSONB),
                (&moved, Type::BOOL),
                (&seen, Type::TIMESTAMPTZ),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Stores what a server offered. False when there is none, or it is not at the place that was asked
/// any more: `sealed` is what was stored of that.
pub async fn record_listing(
    connection: &ClientConnection,
    id: McpServerId,
    sealed: &[u8],
    listing: &Listing,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.mcp_servers
             SET version = $3, listed = $4, left_out = $5, listed_at = $6, list_error = NULL
             WHERE id = $1 AND sealed = $2",
            &[
                (&id.as_uuid(), Type::UUID),
                (&sealed, Type::BYTEA),
                (&listing.version, Type::TEXT),
                (&json!(listing.tools), Type::JSONB),
                (&json!(listing.left_out), Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Stores why a server did not answer; what it offered before stays. False as for
/// [`record_listing`].
pub async fn record_failure(
    connection: &ClientConnection,
    id: McpServerId,
    sealed: &[u8],
    error: &str,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.mcp_servers SET listed_at = $4, list_error = $3
             WHERE id = $1 AND sealed = $2",
            &[
                (&id.as_uuid(), Type::UUID),
                (&sealed, Type::BYTEA),
                (&error, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes one. False when there is none.
pub async fn delete(connection: &ClientConnection, id: McpServerId) -> Result<bool, ClientDbError> {
    if connection.schema_version() < SERVERS_SINCE {
        return Ok(false);
    }
    let changed = connection
        .execute(
            "DELETE FROM stoa.mcp_servers WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

fn read(row: &Row) -> Result<StoredMcpServer, ClientDbError> {
    Ok(StoredMcpServer {
        id: McpServerId::from_uuid(column(row, "id")?),
        settings: McpServerSettings {
            name: column(row, "name")?,
            enabled: column(row, "enabled")?,
            sealed: column(row, "sealed")?,
        },
        allowed: parsed(row, "allowed")?,
        version: column(row, "version")?,
        offered: parsed(row, "listed")?,
        left_out: parsed(row, "left_out")?,
        listed_at: column(row, "listed_at")?,
        list_error: column(row, "list_error")?,
        created_at: column(row, "created_at")?,
        updated_at: column(row, "updated_at")?,
    })
}
