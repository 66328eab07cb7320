//! The client's AI providers: added, changed, tested, removed. Keys go in and never come out.

mod models;
mod settings;
mod trial;

use stoa_ai::prices::Price;
use stoa_ai::{AiErrorCode, Endpoint};
use stoa_client_db::ClientDbError;
use stoa_client_db::api_configurations;
use stoa_domain::seal::SealError;
use stoa_domain::{ApiConfigurationId, Provider, Violation};
use stoa_platform_db::{DbError, PgConnection, instances};
use url::Url;

pub use models::{ListedModel, known_models, models};
pub use settings::Changes;
pub use stoa_client_db::api_configurations::ApiConfiguration;
pub use trial::{Trial, TrialFailure, test};

use crate::App;
use crate::access::ClientCaller;
use crate::budgets::{PriceSource, of_configuration};
use crate::contents::{open_endpoint, seal_endpoint};
use crate::database::DatabaseError;
use settings::{Draft, KeyRequired, hint};

/// The most configurations of an instance.
pub const MOST_CONFIGURATIONS: usize = 50;

/// Why a configuration was not read, changed or tested.
#[derive(Debug, thiserror::Error)]
pub enum ApiConfigurationError {
    /// There is no such configuration.
    #[error("there is no such configuration")]
    NotFound,
    /// A field is wrong.
    #[error("the configuration is not right")]
    Invalid(Vec<Violation>),
    /// The provider or its address changes, and the key must be given again with it.
    #[error("the key must be given again with another address")]
    KeyRequired,
    /// There are too many already.
    #[error("there are {MOST_CONFIGURATIONS} configurations already")]
    TooMany,
    /// The provider did not list its models.
    #[error("the provider did not list its models")]
    NoModels(TrialFailure),
    /// The key could not be sealed or opened.
    #[error("the stored key cannot be used")]
    Sealed(#[from] SealError),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<ClientDbError> for ApiConfigurationError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

impl From<KeyRequired> for ApiConfigurationError {
    fn from(_: KeyRequired) -> Self {
        Self::KeyRequired
    }
}

/// A configuration as its client sees it.
pub struct Shown {
    /// What is stored.
    pub stored: ApiConfiguration,
    /// Where the API is, when it is not the provider's own address.
    pub base_url: Option<Url>,
    /// Whether what is stored does not open here, so that key and address have to be given again.
    pub needs_key: bool,
    /// What a million tokens cost, where that is known, and who says so.
    pub price: (Option<Price>, PriceSource),
    /// Why this process does not ask it for now.
    pub resting: Option<AiErrorCode>,
}

impl Shown {
    fn new(app: &App, stored: ApiConfiguration, caller: &ClientCaller) -> Self {
        let endpoint = open(&stored, caller);
        let settings = &stored.settings;
        let rests = |endpoint| app.ai().resting(endpoint, &settings.model);
        Self {
            needs_key: endpoint.is_none(),
            price: of_configuration(settings),
            resting: endpoint.as_ref().and_then(rests),
            base_url: endpoint.and_then(|endpoint| endpoint.base_url),
            stored,
        }
    }
}

/// All of them, in the order in which they are tried.
///
/// # Errors
/// When the client's database fails.
pub async fn list(app: &App, caller: &ClientCaller) -> Result<Vec<Shown>, ApiConfigurationError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = api_configurations::list(&connection).await?;
    Ok(stored
        .into_iter()
        .map(|stored| Shown::new(app, stored, caller))
        .collect())
}

/// One of them.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn find(
    app: &App,
    caller: &ClientCaller,
    id: ApiConfigurationId,
) -> Result<Shown, ApiConfigurationError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = api_configurations::find(&connection, id).await?;
    stored
        .map(|stored| Shown::new(app, stored, caller))
        .ok_or(ApiConfigurationError::NotFound)
}

/// Adds one.
///
/// # Errors
/// When a field is wrong, there are too many, or the client's database fails.
pub async fn add(
    app: &App,
    caller: &ClientCaller,
    provider: Provider,
    fields: Changes,
) -> Result<Shown, ApiConfigurationError> {
    let mut draft = Draft::new(provider);
    draft.apply(fields)?;
    draft.validate().map_err(ApiConfigurationError::Invalid)?;
    let id = app.new_id(ApiConfigurationId::generate);
    seal(app, caller, id, &mut draft)?;
    let connection = app.checkout(caller.registered()).await?;
    if api_configurations::list(&connection).await?.len() >= MOST_CONFIGURATIONS {
        return Err(ApiConfigurationError::TooMany);
    }
    api_configurations::insert(&connection, id, &draft.settings, app.clock().now()).await?;
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    find(app, caller, id).await
}

/// Changes one. A result of an earlier test is forgotten with what it tested.
///
/// # Errors
/// When there is none with this id, a field is wrong, the key is needed again, or a database fails.
pub async fn change(
    app: &App,
    caller: &ClientCaller,
    id: ApiConfigurationId,
    changes: Changes,
) -> Result<Shown, ApiConfigurationError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = api_configurations::find(&connection, id).await?;
    let stored = stored.ok_or(ApiConfigurationError::NotFound)?;
    let endpoint = open(&stored, caller);
    if endpoint.is_none() && changes.loses_address(&stored.settings) {
        return Err(ApiConfigurationError::Invalid(vec![Violation {
            field: "base_url".into(),
            message: "the stored address does not open here: give it again with the key".into(),
        }]));
    }
    let (base_url, api_key) = match endpoint {
        Some(endpoint) => (endpoint.base_url.map(String::from), endpoint.api_key),
        None => (None, None),
    };
    let mut draft = Draft::of(stored, base_url, api_key);
    draft.apply(changes)?;
    draft.validate().map_err(ApiConfigurationError::Invalid)?;
    if draft.reseal {
        seal(app, caller, id, &mut draft)?;
    }
    if !api_configurations::update(&connection, id, &draft.settings, app.clock().now()).await? {
        return Err(ApiConfigurationError::NotFound);
    }
    let stored = api_configurations::find(&connection, id).await?;
    drop(connection);
    let shown = Shown::new(app, stored.ok_or(ApiConfigurationError::NotFound)?, caller);
    app.tell_contents_changed(caller.instance()).await;
    // One that passed its test while it was switched off counts from when it is switched on.
    if is_ready(&shown.stored) {
        note_ready(app, caller).await?;
    }
    Ok(shown)
}

/// Removes one.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn remove(
    app: &App,
    caller: &ClientCaller,
    id: ApiConfigurationId,
) -> Result<(), ApiConfigurationError> {
    let connection = app.checkout(caller.registered()).await?;
    if !api_configurations::delete(&connection, id).await? {
        return Err(ApiConfigurationError::NotFound);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    Ok(())
}

/// Whether an instance can answer with it: in use, and its test has passed.
pub(crate) fn is_ready(stored: &ApiConfiguration) -> bool {
    stored.settings.enabled && stored.test_ok == Some(true)
}

/// Notes that an instance can answer, and makes it active if that was all it waited for. It stays
/// so when its last good configuration goes: the chat then says what is missing.
async fn note_ready(app: &App, caller: &ClientCaller) -> Result<(), DbError> {
    let instance = caller.instance();
    let now = app.clock().now();
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    instances::set_ai_ready(connection, instance, Some(now)).await?;
    instances::activate_if_ready(connection, instance, now).await?;
    transaction.commit().await?;
    app.forget_instance(instance).await;
    Ok(())
}

/// The opened address and key; `None`, and a line in the log, when they do not open.
fn open(stored: &ApiConfiguration, caller: &ClientCaller) -> Option<Endpoint> {
    let (instance, key) = (caller.instance(), caller.registered().key());
    open_endpoint(stored, instance, key)
        .inspect_err(|error| {
            tracing::error!(%instance, configuration = %stored.id, %error, "an AI configuration's secret does not open");
        })
        .ok()
}

/// Seals the draft's address and key as one.
fn seal(
    app: &App,
    caller: &ClientCaller,
    id: ApiConfigurationId,
    draft: &mut Draft,
) -> Result<(), SealError> {
    let base_url = draft.base_url.as_deref().map(Url::parse).transpose();
    let endpoint = Endpoint {
        provider: draft.settings.provider,
        base_url: base_url.map_err(|_| SealError::Malformed)?,
        api_key: draft.api_key.clone(),
    };
    let (instance, key) = (caller.instance(), caller.registered().key());
    let settings = &mut draft.settings;
    settings.sealed = seal_endpoint(&endpoint, id, instance, key, app.random())?;
    settings.key_hint = draft.api_key.as_ref().map(hint);
    settings.has_base_url = endpoint.base_url.is_some();
    Ok(())
}
