//! Which models a configuration's key may use, with what they cost where that is known.

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use stoa_ai::prices::{self, ModelFacts};
use stoa_ai::{Endpoint, ModelEntry, ModelKind};
use stoa_client_db::api_configurations;
use stoa_domain::{ApiConfigurationId, Provider};
use stoa_platform_db::{DbError, cache_entries};
use url::Url;

use super::ApiConfigurationError;
use super::trial::told;
use crate::App;
use crate::access::ClientCaller;
use crate::contents::open_endpoint;

/// How long a list is taken from the cache.
const KEPT: TimeDelta = TimeDelta::hours(1);

/// A model that can be chosen.
pub struct ListedModel {
    /// What to ask for.
    pub id: String,
    /// The provider's name of it for people.
    pub name: Option<String>,
    /// `chat`, `embedding`, or `unknown`.
    pub kind: &'static str,
    /// How many tokens it reads and writes in all, where that is known.
    pub context_window: Option<u64>,
    /// How many tokens it writes at most, where that is known.
    pub max_output_tokens: Option<u64>,
    /// The list price of a million tokens read, in USD, where that is known.
    pub input_price: Option<f64>,
    /// The list price of a million tokens written.
    pub output_price: Option<f64>,
}

/// The models that the price table names, each with whose it is: what to propose before a provider
/// was asked.
pub fn known_models() -> impl Iterator<Item = (Provider, &'static str)> {
    prices::known_models()
}

/// The models of a configuration: from the cache that replicas share, or from the provider where
/// there are none or `refresh` asks for it.
///
/// # Errors
/// When there is no configuration with this id, its key does not open, a database fails, or the
/// provider does not list its models.
pub async fn models(
    app: &App,
    caller: &ClientCaller,
    id: ApiConfigurationId,
    refresh: bool,
) -> Result<Vec<ListedModel>, ApiConfigurationError> {
    let found = {
        let connection = app.checkout(caller.registered()).await?;
        api_configurations::find(&connection, id).await?
    };
    let stored = found.ok_or(ApiConfigurationError::NotFound)?;
    let endpoint = open_endpoint(&stored, caller.instance(), caller.registered().key())?;
    if endpoint.provider == Provider::Passages {
        let entry = ModelEntry {
            id: endpoint.provider.to_string(),
            name: None,
            kind: ModelKind::Chat,
            context_window: None,
            max_output_tokens: None,
        };
        return Ok(vec![listed(endpoint.provider, entry)]);
    }
    let place = place(&endpoint);
    let cached = match refresh {
        true => None,
        false => cached(app, &place).await?,
    };
    let entries = match cached {
        Some(entries) => entries,
        None => {
            let asked = app.ai().models(&endpoint).await;
            let entries = asked.map_err(|error| ApiConfigurationError::NoModels(told(&error)))?;
            keep(app, &place, &entries).await?;
            entries
        }
    };
    let provider = endpoint.provider;
    Ok(entries
        .into_iter()
        .map(|entry| listed(provider, entry))
        .collect())
}

/// What the provider says counts before what the table knows.
fn listed(provider: Provider, entry: ModelEntry) -> ListedModel {
    let facts = prices::model_of(provider, &entry.id);
    let known = |of: fn(ModelFacts) -> Option<u32>| facts.and_then(of).map(u64::from);
    ListedModel {
        kind: entry.kind.as_str(),
        context_window: entry
            .context_window
            .or_else(|| known(|it| it.context_window)),
        max_output_tokens: entry
            .max_output_tokens
            .or_else(|| known(|it| it.max_output_tokens)),
        input_price: facts.map(|it| decimal(it.price.input)),
        output_price: facts.map(|it| decimal(it.price.output)),
        id: entry.id,
        name: entry.name,
    }
}

/// Millionths as a number, as configurations take their prices.
#[expect(clippy::cast_precision_loss, reason = "a price has few digits")]
fn decimal(millionths: u64) -> f64 {
    millionths as f64 / 1_000_000.0
}

async fn cached(app: &App, place: &str) -> Result<Option<Vec<ModelEntry>>, DbError> {
    let now = app.clock().now();
    let mut connection = app.platform().acquire().await?;
    let value = cache_entries::get(&mut connection, place, now).await?;
    // What an older version has kept in another shape is as good as nothing.
    Ok(value.and_then(|it| serde_json::from_value(it).ok()))
}

async fn keep(app: &App, place: &str, entries: &[ModelEntry]) -> Result<(), DbError> {
    let until = app.clock().now() + KEPT;
    let value = serde_json::json!(entries);
    let mut connection = app.platform().acquire().await?;
    cache_entries::put(&mut connection, place, &value, until).await
}

/// Where the list of an endpoint is kept: a hash of the provider, the address and the key, which
/// has far more possible values than can be tried. What lists depend on is all in it, so whoever
/// has another key sees another list.
fn place(endpoint: &Endpoint) -> String {
    let base = endpoint.base_url.as_ref().map_or("", Url::as_str);
    let key = endpoint.api_key.as_ref();
    let key = key.map_or("", |it| it.expose_secret());
    let mut hash = Sha256::new();
    hash.update(b"stoa models 1");
    for part in [endpoint.provider.as_str(), base, key] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("models:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(provider: Provider, base_url: &str, key: &str) -> String {
        place(&Endpoint {
            provider,
            base_url: Some(Url::parse(base_url).unwrap()),
            api_key: Some(key.into()),
        })
    }

    #[test]
    fn a_list_is_kept_for_its_provider_address_and_key_and_says_none_of_them() {
        let place = at(Provider::Openai, "https://a.example/v1", "sk-secret");
        assert_eq!(
            place,
            at(Provider::Openai, "https://a.example/v1", "sk-secret")
        );
        for other in [
            at(Provider::Mistral, "https://a.example/v1", "sk-secret"),
            at(Provider::Openai, "https://b.example/v1", "sk-secret"),
            at(Provider::Openai, "https://a.example/v1", "sk-secrets"),
            at(Provider::Openai, "https://a.example/v1s", "k-secret"),
        ] {
            assert_ne!(place, other);
        }
        assert!(!place.contains("secret") && !place.contains("example"));
        assert_eq!(place.len(), "models:".len() + 64);
    }
}
