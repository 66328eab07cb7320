//! From configuration to a running [`App`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use stoa_ai::Ai;
use stoa_client_db::provision::ManagedCluster;
use stoa_client_db::{AddressError, AddressRules, ClientDatabases, Migrations, PoolSettings};
use stoa_domain::seal::{MasterKeyRing, SealError, wrapped_by};
use stoa_domain::{Clock, InstanceId, Random};
use stoa_knowledge::ChildSettings;
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_platform_db::master_keys::{self, WrappedKey};
use stoa_platform_db::{DbError, PlatformDb};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::chat::sweep;
use crate::database;
use crate::parts::{Parts, Settings};
use crate::passwords::PasswordError;
use crate::{App, fleet, housekeeping, signals, work};

/// What the operator configured.
pub struct Options {
    /// The platform's database.
    pub platform_url: SecretString,
    /// The certificate authorities by which its server proves itself, in PEM form, where they are not
    /// the public ones.
    pub platform_ca: Option<String>,
    /// How many connections to it this process may hold.
    pub platform_connections: u32,
    /// The master keys.
    pub keys: MasterKeyRing,
    /// The cluster that managed client databases are created on.
    pub managed_url: Option<SecretString>,
    /// Which private addresses clients may use.
    pub allowed_hosts: AddressPolicy,
    /// The address people see.
    pub public_url: Url,
    /// The origin of the hosted chat and the widget's frame.
    pub chat_url: Url,
    /// Whether a client's database may not live in the platform's.
    pub platform_isolation: bool,
    /// Whether a client's database must carry its instance's marker.
    pub client_isolation: bool,
    /// The one instance that this deployment is dedicated to, if it is.
    pub dedicated: Option<InstanceId>,
    /// How long an answer waits for the visitor's word on a call of a tool.
    pub confirmation_wait: Duration,
    /// What clients' databases are brought to.
    pub client_migrations: Migrations,
    /// The proxies whose word counts on where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// The program that reads documents in a process of its own.
    pub extractor: ChildSettings,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
}

/// Why the program did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The platform's database.
    #[error("the platform database cannot be used")]
    Platform(#[from] DbError),
    /// The managed cluster's address.
    #[error("STOA_MANAGED_DATABASE_URL is not understood")]
    ManagedAddress(#[source] AddressError),
    /// The key ring lacks a key, or holds another one under its name.
    #[error("the master keys cannot open what is stored: {0}")]
    Keys(SealError),
    /// Argon2 refused its parameters.
    #[error("passwords cannot be hashed")]
    Passwords(#[from] PasswordError),
}

/// Connects, migrates the platform's database, and proves that the keys open what is stored.
/// Nothing runs in the background yet: see [`background`].
///
/// # Errors
/// What is wrong, so that it can be mended.
pub async fn start(options: Options) -> Result<Arc<App>, StartError> {
    let platform = PlatformDb::connect_verified(
        &options.platform_url,
        options.platform_ca.as_deref(),
        options.platform_connections,
    )
    .await?;
    platform.migrate().await?;
    prove_keys(&platform, &options.keys).await?;
    // Beside the tasks that shutdown waits for: a connection's task lasts as long as the connection
    // rests in a pool, and answers are saved over them to the end.
    let connections = TaskTracker::new();
    let address_rules = AddressRules::new(options.allowed_hosts.clone());
    let outbound = Outbound::new(options.allowed_hosts);
    let managed = options
        .managed_url
        .map(|url| ManagedCluster::new(url.expose_secret(), outbound.clone(), connections.clone()))
        .transpose()
        .map_err(StartError::ManagedAddress)?;
    let pools = PoolSettings {
        marker_required: options.client_isolation,
        sets_up: false,
        ..PoolSettings::default()
    };
    let parts = Parts {
        settings: Settings {
            public_url: options.public_url,
            chat_url: options.chat_url,
            platform_isolation: options.platform_isolation,
            client_isolation: options.client_isolation,
            dedicated: options.dedicated,
            confirmation_wait: options.confirmation_wait,
            address_rules,
            managed,
            trusted_proxies: options.trusted_proxies,
            extractor: options.extractor,
        },
        clients: ClientDatabases::with_migrations(
            outbound.clone(),
            pools,
            options.client_migrations,
            connections,
        ),
        ai: Ai::new(outbound.clone()),
        platform,
        platform_url: options.platform_url,
        keys: options.keys,
        outbound,
        clock: options.clock,
        random: options.random,
        tasks: TaskTracker::new(),
        shutdown: CancellationToken::new(),
    };
    Ok(App::new(parts)?)
}

/// A ring that cannot open what is stored would leave every client without its database, so it is
/// found out before anything is served.
///
/// # Errors
/// When it cannot, or the platform's database cannot be read.
pub async fn prove_keys(platform: &PlatformDb, keys: &MasterKeyRing) -> Result<(), StartError> {
    let mut connection = platform.acquire().await?;
    let samples = master_keys::samples(&mut connection).await?;
    let mut proved: BTreeMap<&str, Result<(), SealError>> = BTreeMap::new();
    for WrappedKey { instance, wrapped } in &samples {
        let id = wrapped_by(wrapped).unwrap_or_default();
        let opened = keys.unwrap(*instance, wrapped).map(drop);
        // A row that was damaged or exchanged is its own instance's trouble. The key is the wrong
        // one where it opens none.
        match proved.entry(id) {
            Entry::Vacant(entry) => drop(entry.insert(opened)),
            Entry::Occupied(mut entry) if opened.is_ok() => drop(entry.insert(opened)),
            Entry::Occupied(_) => {}
        }
    }
    match proved.into_values().find_map(Result::err) {
        Some(error) => Err(StartError::Keys(error)),
        None => Ok(()),
    }
}

/// Starts what runs beside requests: signals and housekeeping; with `workers` also the queue and
/// the sweeps.
///
/// # Errors
/// When the platform's database cannot be listened to.
pub async fn background(app: &Arc<App>, workers: bool) -> Result<(), DbError> {
    signals::start(app).await?;
    let databases = app.clients().clone();
    let shutdown = app.shutdown().clone();
    app.tasks()
        .spawn(async move { databases.keep_house(shutdown).await });
    app.tasks().spawn(fleet::keep_account(Arc::clone(app)));
    app.tasks().spawn(database::note(Arc::clone(app)));
    if workers {
        app.tasks().spawn(fleet::run(Arc::clone(app)));
        app.tasks().spawn(database::probe(Arc::clone(app)));
        app.tasks().spawn(sweep::run(Arc::clone(app)));
        app.tasks().spawn(housekeeping::run(Arc::clone(app)));
        work::start(app);
    }
    Ok(())
}
