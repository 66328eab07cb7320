//! The chat's settings and branding, version by version.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::LiveConfiguration;
use tokio_postgres::Row;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{all, column, json, one},
};

/// One version of the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveConfigurationVersion {
    /// 1, 2, 3, …
    pub version: i32,
    /// The settings.
    pub settings: LiveConfiguration,
    /// Who made it, in words for people.
    pub changed_by: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A version without its settings, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveConfigurationSummary {
    /// 1, 2, 3, …
    pub version: i32,
    /// Who made it, in words for people.
    pub changed_by: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The newest version; `None` before the first.
pub async fn current(
    connection: &ClientConnection,
) -> Result<Option<LiveConfigurationVersion>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT version, settings, changed_by, created_at
             FROM stoa.live_configurations ORDER BY version DESC LIMIT 1",
            &[],
        )
        .await?;
    one(&rows, read)
}

/// The version `version`.
pub async fn version(
    connection: &ClientConnection,
    version: i32,
) -> Result<Option<LiveConfigurationVersion>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT version, settings, changed_by, created_at
             FROM stoa.live_configurations WHERE version = $1",
            &[(&version, Type::INT4)],
        )
        .await?;
    one(&rows, read)
}

/// The newest versions, newest first, at most 200.
pub async fn versions(
    connection: &ClientConnection,
) -> Result<Vec<LiveConfigurationSummary>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT version, changed_by, created_at
             FROM stoa.live_configurations ORDER BY version DESC LIMIT 200",
            &[],
        )
        .await?;
    all(&rows, |row| {
        Ok(LiveConfigurationSummary {
            version: column(row, "version")?,
            changed_by: column(row, "changed_by")?,
            created_at: column(row, "created_at")?,
        })
    })
}

/// Stores a new version and gives its number. Two at once are numbered one after the other: the
/// one that loses the number gets [`ClientDbError::Conflict`] and may be tried again.
pub async fn put(
    connection: &ClientConnection,
    settings: &LiveConfiguration,
    changed_by: Option<&str>,
    now: DateTime<Utc>,
) -> Result<i32, ClientDbError> {
    let settings = serde_json::to_value(settings)
        .map_err(|_| ClientDbError::Unreadable { what: "settings" })?;
    let rows = connection
        .query(
            "INSERT INTO stoa.live_configurations (version, settings, changed_by, created_at)
             SELECT coalesce(max(version), 0) + 1, $1, $2, $3 FROM stoa.live_configurations
             RETURNING version",
            &[
                (&settings, Type::JSONB),
                (&changed_by, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    one(&rows, |row| column(row, "version"))?.ok_or(ClientDbError::Unreadable { what: "version" })
}

/// Stores a new version on top of `based_on` (0 before the first) and gives its number; `None` when
/// that is no longer the newest.
pub async fn put_after(
    connection: &ClientConnection,
    based_on: i32,
    settings: &LiveConfiguration,
    changed_by: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<i32>, ClientDbError> {
    let settings = serde_json::to_value(settings)
        .map_err(|_| ClientDbError::Unreadable { what: "settings" })?;
    let rows = connection
        .query(
            "INSERT INTO stoa.live_configurations (version, settings, changed_by, created_at)
             SELECT coalesce(max(version), 0) + 1, $2, $3, $4 FROM stoa.live_configurations
             HAVING coalesce(max(version), 0) = $1
             RETURNING version",
            &[
                (&based_on, Type::INT4),
                (&settings, Type::JSONB),
                (&changed_by, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await;
    match rows {
        Ok(rows) => one(&rows, |row| column(row, "version")),
        // Another version was put on top of the same one at the same moment.
        Err(ClientDbError::Conflict { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(row: &Row) -> Result<LiveConfigurationVersion, ClientDbError> {
    Ok(LiveConfigurationVersion {
        version: column(row, "version")?,
        settings: json(row, "settings")?,
        changed_by: column(row, "changed_by")?,
        created_at: column(row, "created_at")?,
    })
}
