//! The client's AI providers. Keys are stored sealed and pass through here as bytes.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{ApiConfigurationId, Provider};
use tokio_postgres::Row;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{all, column, one, word},
};

/// Selects whole configurations, by what follows.
macro_rules! select_configurations {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, provider, model, sealed, key_hint, has_base_url, embedding_model,
                    temperature, max_output_tokens, priority, enabled, input_price, output_price,
                    tested_at, test_ok, test_error, created_at, updated_at
             FROM stoa.api_configurations ",
            $rest
        )
    };
}

/// What a person sets about a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiConfigurationSettings {
    /// What it is called.
    pub name: String,
    /// Which provider.
    pub provider: Provider,
    /// Which model answers.
    pub model: String,
    /// The key and the base address, sealed as one.
    pub sealed: Option<Vec<u8>>,
    /// The key's last characters.
    pub key_hint: Option<String>,
    /// Whether there is a base address in what is sealed.
    pub has_base_url: bool,
    /// Which model embeds.
    pub embedding_model: Option<String>,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// The most tokens of an answer.
    pub max_output_tokens: Option<i32>,
    /// Lower ones are tried first.
    pub priority: i32,
    /// Whether it is used at all.
    pub enabled: bool,
    /// The price of a million tokens read.
    pub input_price: Option<f64>,
    /// The price of a million tokens written.
    pub output_price: Option<f64>,
}

/// A provider as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiConfiguration {
    /// Its id.
    pub id: ApiConfigurationId,
    /// What a person set.
    pub settings: ApiConfigurationSettings,
    /// When it was last tested.
    pub tested_at: Option<DateTime<Utc>>,
    /// How the test went.
    pub test_ok: Option<bool>,
    /// The code of the test's failure.
    pub test_error: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// All of them in the order in which they are tried, at most 200. Of those with the same priority the
/// provider that asks no model comes last: it answers always, so nothing behind it would be asked.
pub async fn list(connection: &ClientConnection) -> Result<Vec<ApiConfiguration>, ClientDbError> {
    let rows = connection
        .query(
            select_configurations!(
                "ORDER BY priority, provider = 'passages', created_at, id LIMIT 200"
            ),
            &[],
        )
        .await?;
    all(&rows, read)
}

/// The one with this id.
pub async fn find(
    connection: &ClientConnection,
    id: ApiConfigurationId,
) -> Result<Option<ApiConfiguration>, ClientDbError> {
    let rows = connection
        .query(
            select_configurations!("WHERE id = $1"),
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    one(&rows, read)
}

/// Stores a new one.
pub async fn insert(
    connection: &ClientConnection,
    id: ApiConfigurationId,
    settings: &ApiConfigurationSettings,
    now: DateTime<Utc>,
) -> Result<(), ClientDbError> {
    connection
        .execute(
            "INSERT INTO stoa.api_configurations
                (id, name, provider, model, sealed, key_hint, has_base_url, embedding_model,
                 temperature, max_output_tokens, priority, enabled, input_price, output_price,
                 created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)",
            &[
                (&id.as_uuid(), Type::UUID),
                (&settings.name, Type::TEXT),
                (&settings.provider.as_str(), Type::TEXT),
                (&settings.model, Type::TEXT),
                (&settings.sealed, Type::BYTEA),
                (&settings.key_hint, Type::TEXT),
                (&settings.has_base_url, Type::BOOL),
                (&settings.embedding_model, Type::TEXT),
                (&settings.temperature, Type::FLOAT8),
                (&settings.max_output_tokens, Type::INT4),
                (&settings.priority, Type::INT4),
                (&settings.enabled, Type::BOOL),
                (&settings.input_price, Type::FLOAT8),
                (&settings.output_price, Type::FLOAT8),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Replaces what a person set. The result of an earlier test is forgotten when what it tested
/// (provider, model, key, base address) has changed. False when there is none.
pub async fn update(
    connection: &ClientConnection,
    id: ApiConfigurationId,
    settings: &ApiConfigurationSettings,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.api_configurations AS c
             SET name = $2, provider = $3, model = $4, sealed = $5, key_hint = $6,
                 has_base_url = $7, embedding_model = $8, temperature = $9,
                 max_output_tokens = $10, priority = $11, enabled = $12, input_price = $13,
                 output_price = $14, updated_at = $15,
                 tested_at = CASE WHEN same.it THEN c.tested_at END,
                 test_ok = CASE WHEN same.it THEN c.test_ok END,
                 test_error = CASE WHEN same.it THEN c.test_error END
             FROM (
                 SELECT o.id, o.provider = $3 AND o.model = $4
                        AND o.sealed IS NOT DISTINCT FROM $5 AS it
                 FROM stoa.api_configurations o WHERE o.id = $1
             ) same
             WHERE c.id = same.id",
            &[
                (&id.as_uuid(), Type::UUID),
                (&settings.name, Type::TEXT),
                (&settings.provider.as_str(), Type::TEXT),
                (&settings.model, Type::TEXT),
                (&settings.sealed, Type::BYTEA),
                (&settings.key_hint, Type::TEXT),
                (&settings.has_base_url, Type::BOOL),
                (&settings.embedding_model, Type::TEXT),
                (&settings.temperature, Type::FLOAT8),
                (&settings.max_output_tokens, Type::INT4),
                (&settings.priority, Type::INT4),
                (&settings.enabled, Type::BOOL),
                (&settings.input_price, Type::FLOAT8),
                (&settings.output_price, Type::FLOAT8),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes one. False when there is none.
pub async fn delete(
    connection: &ClientConnection,
    id: ApiConfigurationId,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "DELETE FROM stoa.api_configurations WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

/// Stores how a test went: `None` for well, else the failure's code. False when there is none, or
/// it was changed since `tested` (its `updated_at` at the time of the test): the result is not its own.
pub async fn record_test(
    connection: &ClientConnection,
    id: ApiConfigurationId,
    tested: DateTime<Utc>,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.api_configurations
             SET tested_at = $3, test_ok = $2 IS NULL, test_error = $2
             WHERE id = $1 AND updated_at = $4",
            &[
                (&id.as_uuid(), Type::UUID),
                (&error, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
                (&tested, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

fn read(row: &Row) -> Result<ApiConfiguration, ClientDbError> {
    Ok(ApiConfiguration {
        id: ApiConfigurationId::from_uuid(column(row, "id")?),
        settings: ApiConfigurationSettings {
            name: column(row, "name")?,
            provider: word(row, "provider")?,
            model: column(row, "model")?,
            sealed: column(row, "sealed")?,
            key_hint: column(row, "key_hint")?,
            has_base_url: column(row, "has_base_url")?,
            embedding_model: column(row, "embedding_model")?,
            temperature: column(row, "temperature")?,
            max_output_tokens: column(row, "max_output_tokens")?,
            priority: column(row, "priority")?,
            enabled: column(row, "enabled")?,
            input_price: column(row, "input_price")?,
            output_price: column(row, "output_price")?,
        },
        tested_at: column(row, "tested_at")?,
        test_ok: column(row, "test_ok")?,
        test_error: column(row, "test_error")?,
        created_at: column(row, "created_at")?,
        updated_at: column(row, "updated_at")?,
    })
}
