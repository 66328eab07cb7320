//! What an instance's own database says about how it answers: configuration, instructions, AI
//! providers with their keys opened. Cached in this process and dropped within a second of a
//! change anywhere ([`crate::signals`]).

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stoa_ai::Endpoint;
use stoa_ai::passages::Wording;
use stoa_ai::prices::Price;
use stoa_client_db::api_configurations::{self, ApiConfiguration};
use stoa_client_db::{
    ClientConnection, ClientDbError, budgets, live_configurations, rag_instructions,
};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{
    ApiConfigurationId, Budgets, InstanceId, LiveConfiguration, Provider, RagInstructions,
};
use url::Url;

use crate::budgets::of_configuration;
use crate::quoted;
use crate::tools::Toolbox;

/// Everything that a chat turn needs to know of its instance, besides its registry row.
pub struct Contents {
    /// The chat's settings and branding.
    pub live: LiveConfiguration,
    /// Their version; 0 before the first change.
    pub live_version: i32,
    /// How answers are made.
    pub instructions: RagInstructions,
    /// Who answers, in the order in which they are tried; the enabled ones.
    pub models: Vec<Model>,
    /// What a model may ask to be called.
    pub toolbox: Toolbox,
    /// What they may cost.
    pub budgets: Budgets,
}

/// One AI configuration, ready to be asked.
pub struct Model {
    /// Its id.
    pub id: ApiConfigurationId,
    /// What the client calls it.
    pub name: String,
    /// The provider, its address and key.
    pub endpoint: Endpoint,
    /// The model's name with that provider.
    pub model: String,
    /// The model that embeds, with the same provider.
    pub embedding_model: Option<String>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// The most tokens of an answer.
    pub max_output_tokens: Option<i32>,
    /// What it costs, where that is known.
    pub price: Option<Price>,
}

impl Contents {
    /// Reads them.
    ///
    /// # Errors
    /// When the client's database fails. A configuration whose secret does not open is left out
    /// and logged: the others can still answer.
    pub async fn load(
        connection: &ClientConnection,
        instance: InstanceId,
        key: &DataKey,
    ) -> Result<Self, ClientDbError> {
        let current = live_configurations::current(connection).await?;
        let (live_version, live) = match current {
            Some(current) => (current.version, current.settings),
            None => (0, LiveConfiguration::default()),
        };
        let instructions = rag_instructions::get(connection).await?.unwrap_or_default();
        let budgets = budgets::get(connection).await?.unwrap_or_default();
        let stored = api_configurations::list(connection).await?;
        let models = stored
            .into_iter()
            .filter(|configuration| configuration.settings.enabled)
            .filter_map(|configuration| usable(configuration, instance, key))
            .collect();
        let toolbox = Toolbox::load(connection, instance, key).await?;
        Ok(Self {
            live,
            live_version,
            instructions,
            models,
            toolbox,
            budgets,
        })
    }

    /// Who embeds: the first enabled configuration with an embedding model.
    #[must_use]
    pub fn embedding_endpoint(&self) -> Option<(&Endpoint, &str)> {
        self.models.iter().find_map(|model| {
            model
                .embedding_model
                .as_deref()
                .map(|name| (&model.endpoint, name))
        })
    }
}

impl Contents {
    /// The words around quoted passages, when `passages` answers: in the language that is set, else
    /// in the visitor's.
    #[must_use]
    pub fn passages_wording(&self, locale: Option<&str>) -> Wording {
        let language = match self.instructions.language.as_str() {
            "auto" => locale.unwrap_or_default(),
            set => set,
        };
        let words = quoted::words(language);
        let asks_models = |model: &Model| model.endpoint.provider != Provider::Passages;
        let why = match self.models.iter().any(asks_models) {
            true => words.models_failed,
            false => words.no_model,
        };
        Wording {
            introduction: words.introduction.to_owned(),
            no_model: why.to_owned(),
            nothing_found: self.instructions.no_answer_message.clone(),
        }
    }

    /// The words of an answer where a budget stands against asking a model.
    #[must_use]
    pub fn no_budget_wording(&self) -> Wording {
        Wording {
            introduction: String::new(),
            no_model: String::new(),
            nothing_found: self.budgets.exceeded_message.clone(),
        }
    }

    /// The words of an answer that may only come from documents which have nothing.
    #[must_use]
    pub fn no_answer_wording(&self) -> Wording {
        Wording {
            introduction: String::new(),
            no_model: String::new(),
            nothing_found: self.instructions.no_answer_message.clone(),
        }
    }
}

fn usable(configuration: ApiConfiguration, instance: InstanceId, key: &DataKey) -> Option<Model> {
    match open_endpoint(&configuration, instance, key) {
        Ok(endpoint) => Some(Model {
            id: configuration.id,
            price: of_configuration(&configuration.settings).0,
            name: configuration.settings.name,
            endpoint,
            model: configuration.settings.model,
            embedding_model: configuration.settings.embedding_model,
            temperature: configuration.settings.temperature,
            max_output_tokens: configuration.settings.max_output_tokens,
        }),
        Err(error) => {
            tracing::error!(%instance, configuration = %configuration.id, %error, "an AI configuration's secret does not open");
            None
        }
    }
}

/// A provider's key and its address, sealed as one so that neither can be exchanged.
#[derive(Serialize, Deserialize)]
struct SealedEndpoint {
    base_url: Option<String>,
    api_key: Option<String>,
}

/// Where a configuration's key and address are sealed.
fn place(instance: InstanceId, id: ApiConfigurationId) -> SealPlace {
    SealPlace {
        instance,
        table: "api_configurations",
        column: "sealed",
        row: id.as_uuid(),
    }
}

/// Opens a stored configuration's key and address.
///
/// # Errors
/// When the secret does not open with this key at this place, or holds something else.
pub fn open_endpoint(
    configuration: &ApiConfiguration,
    instance: InstanceId,
    key: &DataKey,
) -> Result<Endpoint, SealError> {
    let provider = configuration.settings.provider;
    let Some(sealed) = &configuration.settings.sealed else {
        return Ok(Endpoint {
            provider,
            base_url: None,
            api_key: None,
        });
    };
    let opened = key.open(&place(instance, configuration.id), sealed)?;
    let endpoint: SealedEndpoint =
        serde_json::from_slice(&opened).map_err(|_| SealError::Malformed)?;
    let base_url = endpoint
        .base_url
        .map(|address| Url::parse(&address).map_err(|_| SealError::Malformed))
        .transpose()?;
    Ok(Endpoint {
        provider,
        base_url,
        api_key: endpoint.api_key.map(SecretString::from),
    })
}

/// Seals a key and an address for a configuration; `None` when there is neither.
///
/// # Errors
/// When the cipher refuses.
pub fn seal_endpoint(
    endpoint: &Endpoint,
    id: ApiConfigurationId,
    instance: InstanceId,
    key: &DataKey,
    random: &stoa_domain::Random,
) -> Result<Option<Vec<u8>>, SealError> {
    use secrecy::ExposeSecret as _;
    if endpoint.base_url.is_none() && endpoint.api_key.is_none() {
        return Ok(None);
    }
    let plain = SealedEndpoint {
        base_url: endpoint.base_url.as_ref().map(Url::to_string),
        api_key: endpoint
            .api_key
            .as_ref()
            .map(|key| key.expose_secret().to_owned()),
    };
    let plain =
        zeroize::Zeroizing::new(serde_json::to_vec(&plain).map_err(|_| SealError::Malformed)?);
    key.seal(&place(instance, id), &plain, random).map(Some)
}

/// Whether a provider answers without a key.
#[must_use]
pub const fn needs_no_key(provider: Provider) -> bool {
    matches!(
        provider,
        Provider::Passages | Provider::Ollama | Provider::OpenaiCompatible
    )
}
