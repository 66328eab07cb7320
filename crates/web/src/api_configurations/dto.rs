//! The shapes of AI configurations. A key goes in and never comes out.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stoa_app::api_configurations::{Changes, Shown, Trial};
use stoa_domain::{ApiConfigurationId, Provider};
use utoipa::ToSchema;

use crate::http::patch::{clearable, given};

/// An AI configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiConfigurationView {
    /// Its id.
    id: ApiConfigurationId,
    /// What it is called.
    name: String,
    /// Whose AI it is.
    provider: Provider,
    /// The provider's name of the model that answers.
    model: String,
    /// Where the API is; null for the provider's own address.
    base_url: Option<String>,
    /// The key's last four characters; null without a key.
    key_hint: Option<String>,
    /// Whether the stored key does not open here, as in a database that was moved from another
    /// deployment: until `api_key` is given again, nobody is asked.
    needs_key: bool,
    /// The provider's name of the model that embeds.
    embedding_model: Option<String>,
    /// The sampling temperature.
    temperature: Option<f64>,
    /// The most tokens of an answer.
    max_output_tokens: Option<i32>,
    /// Lower ones are tried first.
    priority: i32,
    /// Whether it is used at all.
    enabled: bool,
    /// The price of a million tokens read, in the currency of your own books.
    input_price: Option<f64>,
    /// The price of a million tokens written, in the same currency.
    output_price: Option<f64>,
    /// When it was last tested as it is now.
    tested_at: Option<DateTime<Utc>>,
    /// Whether that test passed.
    test_ok: Option<bool>,
    /// The code of its failure.
    test_error: Option<String>,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

impl From<Shown> for ApiConfigurationView {
    fn from(shown: Shown) -> Self {
        let stored = shown.stored;
        let settings = stored.settings;
        Self {
            id: stored.id,
            name: settings.name,
            provider: settings.provider,
            model: settings.model,
            base_url: shown.base_url.map(String::from),
            key_hint: settings.key_hint,
            needs_key: shown.needs_key,
            embedding_model: settings.embedding_model,
            temperature: settings.temperature,
            max_output_tokens: settings.max_output_tokens,
            priority: settings.priority,
            enabled: settings.enabled,
            input_price: settings.input_price,
            output_price: settings.output_price,
            tested_at: stored.tested_at,
            test_ok: stored.test_ok,
            test_error: stored.test_error,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

/// A new AI configuration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiConfiguration {
    /// What it is called, 1 to 100 characters.
    name: String,
    /// Whose AI it is. `passages` asks no model and quotes the documents.
    pub(crate) provider: Provider,
    /// The provider's name of the model; may be left out for `passages`.
    model: Option<String>,
    /// Where the API is. Needed for `openai_compatible` and `azure_openai`.
    base_url: Option<String>,
    /// The key. Needed except for `passages`, `ollama` and `openai_compatible`.
    #[schema(value_type = Option<String>, write_only)]
    api_key: Option<SecretString>,
    /// The provider's name of the model that embeds; without one, search is by words only.
    embedding_model: Option<String>,
    /// The sampling temperature, 0 to 2.
    temperature: Option<f64>,
    /// The most tokens of an answer, 1 to 1,000,000.
    max_output_tokens: Option<i32>,
    /// Lower ones are tried first, 0 to 1,000; 0 when left out.
    priority: Option<i32>,
    /// Whether it is used at all; true when left out.
    enabled: Option<bool>,
    /// The price of a million tokens read.
    input_price: Option<f64>,
    /// The price of a million tokens written.
    output_price: Option<f64>,
}

impl From<NewApiConfiguration> for Changes {
    fn from(new: NewApiConfiguration) -> Self {
        Self {
            name: Some(new.name),
            provider: None,
            model: new.model,
            base_url: Some(new.base_url),
            api_key: Some(new.api_key),
            embedding_model: Some(new.embedding_model),
            temperature: Some(new.temperature),
            max_output_tokens: Some(new.max_output_tokens),
            priority: new.priority,
            enabled: new.enabled,
            input_price: Some(new.input_price),
            output_price: Some(new.output_price),
        }
    }
}

/// A change of an AI configuration: what is left out stays, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiConfigurationChanges {
    /// What it is called.
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    /// Whose AI it is. With another one, `api_key` must be sent again.
    #[serde(default, deserialize_with = "given")]
    provider: Option<Provider>,
    /// The provider's name of the model.
    #[serde(default, deserialize_with = "given")]
    model: Option<String>,
    /// Where the API is. With another one, `api_key` must be sent again.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    base_url: Option<Option<String>>,
    /// The key; null removes it.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, write_only)]
    api_key: Option<Option<SecretString>>,
    /// The provider's name of the model that embeds.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>)]
    embedding_model: Option<Option<String>>,
    /// The sampling temperature.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<f64>)]
    temperature: Option<Option<f64>>,
    /// The most tokens of an answer.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<i32>)]
    max_output_tokens: Option<Option<i32>>,
    /// Lower ones are tried first.
    #[serde(default, deserialize_with = "given")]
    priority: Option<i32>,
    /// Whether it is used at all.
    #[serde(default, deserialize_with = "given")]
    enabled: Option<bool>,
    /// The price of a million tokens read.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<f64>)]
    input_price: Option<Option<f64>>,
    /// The price of a million tokens written.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<f64>)]
    output_price: Option<Option<f64>>,
}

impl From<ApiConfigurationChanges> for Changes {
    fn from(changes: ApiConfigurationChanges) -> Self {
        Self {
            name: changes.name,
            provider: changes.provider,
            model: changes.model,
            base_url: changes.base_url,
            api_key: changes.api_key,
            embedding_model: changes.embedding_model,
            temperature: changes.temperature,
            max_output_tokens: changes.max_output_tokens,
            priority: changes.priority,
            enabled: changes.enabled,
            input_price: changes.input_price,
            output_price: changes.output_price,
        }
    }
}

/// How a test went.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialView {
    /// Whether the provider answered as it should.
    ok: bool,
    /// How long it took, in milliseconds.
    took_ms: u64,
    /// The model that answered, or was asked for.
    model: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<TrialErrorView>,
}

/// Why a test failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct TrialErrorView {
    /// A stable word, such as `bad_key`, `not_found`, `unreachable` or `forbidden`.
    code: &'static str,
    /// A sentence, with what the provider said.
    message: String,
}

impl From<Trial> for TrialView {
    fn from(trial: Trial) -> Self {
        Self {
            ok: trial.failure.is_none(),
            took_ms: u64::try_from(trial.took.as_millis()).unwrap_or(u64::MAX),
            model: trial.model,
            error: trial.failure.map(|failure| TrialErrorView {
                code: failure.code,
                message: failure.message,
            }),
        }
    }
}
