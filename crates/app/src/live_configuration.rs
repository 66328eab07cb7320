//! The chat's settings and branding: read, changed version by version, shown to visitors.

use std::sync::Arc;

use stoa_client_db::live_configurations::{self, LiveConfigurationVersion};
use stoa_client_db::{ClientConnection, ClientDbError};
use stoa_domain::{InstanceId, InstanceStatus, LiveConfiguration, Slug, Violation};

pub use stoa_client_db::live_configurations::LiveConfigurationSummary;

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;
use crate::registry::RegistryError;

/// How often a version is tried to be numbered when others are made at the same time.
const NUMBERING_TRIES: u32 = 5;

/// Why settings were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LiveConfigurationError {
    /// A field is wrong.
    #[error("the settings are not right")]
    Invalid(Vec<Violation>),
    /// Somebody else has changed the settings since they were read.
    #[error("the settings have changed since: the current version is {current}")]
    Outdated {
        /// The version that is current now.
        current: i32,
    },
    /// There is no such version.
    #[error("there is no such version")]
    NotFound,
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The registry failed.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
}

impl From<ClientDbError> for LiveConfigurationError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// What anybody may know of an instance's settings.
pub struct Public {
    /// The instance.
    pub id: InstanceId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its own name.
    pub name: String,
    /// Whether it answers.
    pub status: InstanceStatus,
    /// The settings, with the bot's name filled in and nothing private.
    pub live: LiveConfiguration,
    /// Their version; 0 before the first change.
    pub version: i32,
    /// Whether the chat can be used now, as far as its database goes.
    pub is_available: bool,
}

/// The public part of an instance's settings; `None` when there is no such instance.
///
/// # Errors
/// When a database fails.
pub async fn public(app: &App, id: InstanceId) -> Result<Option<Public>, LiveConfigurationError> {
    let Some(registered) = app.registered(id).await? else {
        return Ok(None);
    };
    let looks = app.looks(&registered).await?;
    let mut live = looks.live;
    live.display.bot_name = registered.display_name(&live).to_owned();
    live.access.allowed_origins.clear();
    Ok(Some(Public {
        id,
        slug: registered.slug().clone(),
        name: registered.row().name.to_string(),
        status: registered.status(),
        live,
        version: looks.version,
        is_available: looks.is_available,
    }))
}

/// Whether an origin is the platform's own: that of its address or of the chat's.
#[must_use]
pub fn is_own_origin(app: &App, origin: &str) -> bool {
    let settings = app.settings();
    [&settings.public_url, &settings.chat_url]
        .into_iter()
        .any(|url| url.origin().ascii_serialization() == origin)
}

/// Whether a site may call an instance's chat from a browser. An instance that is not there, or
/// has no database yet, allows the platform's own origins only.
///
/// # Errors
/// When a database fails.
pub async fn allows_origin(
    app: &App,
    instance: InstanceId,
    origin: &str,
) -> Result<bool, LiveConfigurationError> {
    if is_own_origin(app, origin) {
        return Ok(true);
    }
    let Some(registered) = app.registered(instance).await? else {
        return Ok(false);
    };
    let looks = app.looks(&registered).await?;
    let allowed = &looks.live.access.allowed_origins;
    Ok(looks.is_known && allowed.iter().any(|allowed| allowed == origin))
}

/// The current settings; version 0 before the first change.
///
/// # Errors
/// When a database fails.
pub async fn current(
    app: &App,
    caller: &ClientCaller,
) -> Result<(LiveConfiguration, i32), LiveConfigurationError> {
    let connection = app.checkout(caller.registered()).await?;
    let current = live_configurations::current(&connection).await?;
    Ok(current.map_or_else(Default::default, |current| {
        (current.settings, current.version)
    }))
}

/// Makes a new version, and shows it everywhere. `based_on` is the version that was edited, where
/// the caller knows it: when another has been made since, nothing is changed.
///
/// # Errors
/// When a field is wrong, the settings have changed meanwhile, or a database fails.
pub async fn put(
    app: &Arc<App>,
    caller: &ClientCaller,
    settings: LiveConfiguration,
    based_on: Option<i32>,
) -> Result<(LiveConfiguration, i32), LiveConfigurationError> {
    settings
        .validate()
        .map_err(LiveConfigurationError::Invalid)?;
    let connection = app.checkout(caller.registered()).await?;
    let version = match based_on {
        Some(based_on) => put_after(app, caller, &connection, &settings, based_on).await?,
        None => put_anyhow(app, caller, &connection, &settings).await?,
    };
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    Ok((settings, version))
}

/// Makes a version on top of the one that was edited.
async fn put_after(
    app: &App,
    caller: &ClientCaller,
    connection: &ClientConnection,
    settings: &LiveConfiguration,
    based_on: i32,
) -> Result<i32, LiveConfigurationError> {
    let (by, now) = (caller.actor().to_string(), app.clock().now());
    let made =
        live_configurations::put_after(connection, based_on, settings, Some(&by), now).await?;
    if let Some(version) = made {
        return Ok(version);
    }
    let current = live_configurations::current(connection).await?;
    Err(LiveConfigurationError::Outdated {
        current: current.map_or(0, |current| current.version),
    })
}

/// Makes a version on top of whichever is current.
async fn put_anyhow(
    app: &App,
    caller: &ClientCaller,
    connection: &ClientConnection,
    settings: &LiveConfiguration,
) -> Result<i32, LiveConfigurationError> {
    let (by, now) = (caller.actor().to_string(), app.clock().now());
    let mut attempt = 1;
    loop {
        match live_configurations::put(connection, settings, Some(&by), now).await {
            // Two versions made at once wanted the same number; the next one is free.
            Err(ClientDbError::Conflict { .. }) if attempt < NUMBERING_TRIES => attempt += 1,
            made => return Ok(made?),
        }
    }
}

/// The newest versions, newest first.
///
/// # Errors
/// When a database fails.
pub async fn versions(
    app: &App,
    caller: &ClientCaller,
) -> Result<Vec<LiveConfigurationSummary>, LiveConfigurationError> {
    let connection = app.checkout(caller.registered()).await?;
    Ok(live_configurations::versions(&connection).await?)
}

/// Makes a new version that is like an earlier one.
///
/// # Errors
/// When there is no such version, or a database fails.
pub async fn restore(
    app: &Arc<App>,
    caller: &ClientCaller,
    version: i32,
) -> Result<(LiveConfiguration, i32), LiveConfigurationError> {
    let earlier: Option<LiveConfigurationVersion> = {
        let connection = app.checkout(caller.registered()).await?;
        live_configurations::version(&connection, version).await?
    };
    let earlier = earlier.ok_or(LiveConfigurationError::NotFound)?;
    put(app, caller, earlier.settings, None).await
}
