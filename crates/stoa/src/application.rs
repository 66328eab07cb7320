//! Puts the parts of the program together, and takes them apart again in the right order.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use stoa_ai::Ai;
use stoa_app::{App, Parts, Settings, chat, signals};
use stoa_client_db::provision::ManagedCluster;
use stoa_client_db::{AddressRules, ClientDatabases, PoolSettings};
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{Clock, Random};
use stoa_knowledge::ChildSettings;
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_platform_db::{PlatformDb, instances};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::command_line::failure::Failure;
use crate::configuration::{Configuration, Isolation};
use crate::databases::Databases;

/// The hidden subcommand that reads a document in a process of its own.
pub(crate) const EXTRACTOR: &str = "extract-document";

/// Connections to the platform database of a server.
const SERVER_CONNECTIONS: u32 = 20;
/// Connections to the platform database of a command.
pub(crate) const COMMAND_CONNECTIONS: u32 = 3;

/// How long the last connections to clients' databases may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Networks that are nobody's own and that clients may use once PLATFORM_ISOLATION_ENABLED is
/// false. Link-local addresses stay closed: clouds serve their machines' credentials there.
const PRIVATE_NETWORKS: &str =
    "127.0.0.0/8, ::1/128, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7";

/// The assembled program, and what has to outlive its tasks.
pub(crate) struct Application {
    app: Arc<App>,
    client_connections: TaskTracker,
    clients_close: CancellationToken,
}

/// What the assembled program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To serve, with everything that runs beside requests.
    Server,
    /// One command.
    Command,
}

impl Application {
    /// Connects to the platform database, brings it up to date, and makes sure that the master
    /// keys open what is stored in it.
    pub(crate) async fn assemble(
        configuration: &Configuration,
        keys: MasterKeyRing,
        databases: &Databases,
        public_url: Url,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let connections = match purpose {
            Purpose::Server => SERVER_CONNECTIONS,
            Purpose::Command => COMMAND_CONNECTIONS,
        };
        let platform = connect(databases, connections).await?;
        check_keys(&platform, &keys).await?;

        let policy = address_policy(configuration);
        let outbound = Outbound::new(policy.clone());
        let client_connections = TaskTracker::new();
        let pool = PoolSettings {
            marker_required: configuration.isolation.client_data,
            ..PoolSettings::default()
        };
        let clients = ClientDatabases::new(outbound.clone(), pool, client_connections.clone());
        let settings = Settings {
            chat_url: configuration
                .chat_url
                .clone()
                .unwrap_or_else(|| public_url.clone()),
            public_url,
            platform_isolation: configuration.isolation.platform,
            address_rules: AddressRules::new(policy),
            managed: managed(databases, &outbound, &client_connections)?,
            extractor: ChildSettings::own_program(EXTRACTOR)
                .map_err(|error| Failure::from_error("no_extractor", &error))?,
        };
        let app = App::new(Parts {
            settings,
            platform,
            platform_url: databases.platform().clone(),
            keys,
            ai: Ai::new(outbound.clone()),
            outbound,
            clients,
            clock: Clock::system(),
            random: Random::system(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        })
        .map_err(|error| Failure::from_error("cannot_start", &error))?;
        Ok(Self {
            app,
            client_connections,
            clients_close: CancellationToken::new(),
        })
    }

    pub(crate) const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Starts what runs beside requests.
    pub(crate) async fn start_background(&self) -> Result<(), Failure> {
        let app = &self.app;
        signals::start(app)
            .await
            .map_err(|error| Failure::from_error("no_signals", &error))?;
        app.tasks().spawn(chat::sweep::run(Arc::clone(app)));
        // Beside the app's own tasks: answers that are being saved need connections to the end.
        let (clients, close) = (app.clients().clone(), self.clients_close.clone());
        self.client_connections
            .spawn(async move { clients.keep_house(close).await });
        Ok(())
    }

    /// Waits for the tasks until the deadline, then closes all connections. Says whether all had
    /// ended.
    pub(crate) async fn end(self, deadline: Duration) -> bool {
        self.app.shutdown().cancel();
        self.app.tasks().close();
        let ended = tokio::time::timeout(deadline, self.app.tasks().wait())
            .await
            .is_ok();
        self.clients_close.cancel();
        self.client_connections.close();
        let goodbye = async {
            self.client_connections.wait().await;
            self.app.platform().close().await;
        };
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
        ended
    }
}

/// Connects to the platform database and brings it up to date.
pub(crate) async fn connect(
    databases: &Databases,
    connections: u32,
) -> Result<PlatformDb, Failure> {
    let platform = PlatformDb::connect(databases.platform(), connections)
        .await
        .map_err(|error| {
            Failure::from_error("platform_database", &error).hint(
                "is PLATFORM_DATABASE_URL right and the database up? `stoa doctor` looks closer",
            )
        })?;
    platform
        .migrate()
        .await
        .map_err(|error| Failure::from_error("cannot_migrate", &error))?;
    Ok(platform)
}

/// Makes sure that the master keys open what is stored.
pub(crate) async fn check_keys(platform: &PlatformDb, keys: &MasterKeyRing) -> Result<(), Failure> {
    let stored = async { instances::wrapped_keys(&mut *platform.acquire().await?).await };
    let stored = stored
        .await
        .map_err(|error| Failure::from_error("platform_database", &error))?;
    for (instance, wrapped) in stored {
        keys.unwrap(instance, &wrapped).map_err(|error| {
            Failure::from_error("wrong_master_key", &error).hint(
                "put the key that this database was used with back into STOA_MASTER_KEY; new keys are added before it, separated by a comma",
            )
        })?;
    }
    Ok(())
}

/// The cluster of managed client databases, if there is one.
pub(crate) fn managed(
    databases: &Databases,
    outbound: &Outbound,
    tasks: &TaskTracker,
) -> Result<Option<ManagedCluster>, Failure> {
    databases
        .managed()
        .map(|url| ManagedCluster::new(url.expose_secret(), outbound.clone(), tasks.clone()))
        .transpose()
        .map_err(|error| {
            Failure::from_error("malformed_configuration", &error)
                .hint("correct STOA_MANAGED_DATABASE_URL")
        })
}

/// Which private addresses clients may use.
fn address_policy(configuration: &Configuration) -> AddressPolicy {
    match (
        &configuration.allowed_private_hosts,
        configuration.isolation,
    ) {
        (
            _,
            Isolation {
                platform: false, ..
            },
        ) => AddressPolicy::parse(PRIVATE_NETWORKS).unwrap_or_default(),
        (Some(listed), _) => listed.clone(),
        (None, _) => AddressPolicy::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::configuration::Environment;

    fn permits(pairs: [(&str, &str); 1], address: &str) -> bool {
        let configuration = Configuration::parse(&Environment::of(pairs)).unwrap();
        let address: IpAddr = address.parse().unwrap();
        address_policy(&configuration).permits(&address.to_string(), address, 5432)
    }

    #[test]
    fn private_addresses_are_open_only_by_the_operators_word() {
        assert!(!permits([("HOST", "::")], "10.1.2.3"));
        assert!(permits(
            [("STOA_ALLOWED_PRIVATE_HOSTS", "10.0.0.0/8")],
            "10.1.2.3"
        ));
        assert!(permits(
            [("PLATFORM_ISOLATION_ENABLED", "false")],
            "10.1.2.3"
        ));
        assert!(permits(
            [("PLATFORM_ISOLATION_ENABLED", "false")],
            "127.0.0.1"
        ));
        assert!(!permits(
            [("PLATFORM_ISOLATION_ENABLED", "false")],
            "169.254.169.254"
        ));
    }
}
