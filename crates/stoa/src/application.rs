//! Starts the program's use cases from the configuration, and ends them.

use std::sync::Arc;
use std::time::Duration;

use stoa_app::{App, Options, StartError, chat, start};
use stoa_client_db::Migrations;
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{Clock, Random};
use stoa_knowledge::ChildSettings;
use stoa_outbound::AddressPolicy;
use url::Url;

use crate::command_line::failure::Failure;
use crate::configuration::{Configuration, Isolation};
use crate::databases::Databases;
use crate::dedicated;

/// The hidden subcommand that reads a document in a process of its own.
pub(crate) const EXTRACTOR: &str = "extract-document";

/// Connections to the platform database of a server.
const SERVER_CONNECTIONS: u32 = 20;
/// Connections to the platform database of a command.
pub(crate) const COMMAND_CONNECTIONS: u32 = 3;

/// How long the last connections to the platform database may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Networks that are nobody's own and that clients may use once PLATFORM_ISOLATION_ENABLED is
/// false. Link-local addresses stay closed: clouds serve their machines' credentials there.
const PRIVATE_NETWORKS: &str =
    "127.0.0.0/8, ::1/128, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7";

/// What the program is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To serve.
    Server,
    /// One command.
    Command,
}

/// Connects to the platform database, brings it up to date, and makes sure that the master keys
/// open what is stored in it. Nothing runs beside it yet.
pub(crate) async fn start(
    configuration: &Configuration,
    keys: MasterKeyRing,
    databases: &Databases,
    public_url: Url,
    purpose: Purpose,
) -> Result<Arc<App>, Failure> {
    let extractor = ChildSettings::own_program(EXTRACTOR)
        .map_err(|error| Failure::from_error("no_extractor", &error))?;
    let options = Options {
        platform_url: databases.platform().clone(),
        platform_ca: databases.platform_ca().map(str::to_owned),
        platform_connections: match purpose {
            Purpose::Server => SERVER_CONNECTIONS,
            Purpose::Command => COMMAND_CONNECTIONS,
        },
        keys,
        managed_url: databases.managed().cloned(),
        allowed_hosts: address_policy(configuration),
        chat_url: configuration
            .chat_url
            .clone()
            .unwrap_or_else(|| public_url.clone()),
        public_url,
        platform_isolation: configuration.isolation.platform,
        client_isolation: configuration.isolation.client_data,
        dedicated: configuration.client.as_ref().map(|client| client.id),
        confirmation_wait: chat::CONFIRMATION_WAIT,
        client_migrations: Migrations::shipped(),
        trusted_proxies: configuration.trusted_proxies.clone(),
        extractor,
        clock: Clock::system(),
        random: Random::system(),
    };
    start::start(options)
        .await
        .map_err(|error| dedicated::with_schema_sql(&error, databases))
}

/// Ends what runs beside requests and waits for it until the deadline, then closes the connections
/// to the platform database. Says whether all had ended.
pub(crate) async fn end(app: &App, deadline: Duration) -> bool {
    app.shutdown().cancel();
    app.tasks().close();
    let ended = tokio::time::timeout(deadline, app.tasks().wait())
        .await
        .is_ok();
    drop(tokio::time::timeout(GOODBYE, app.platform().close()).await);
    ended
}

/// What a start that failed is told as.
pub(crate) fn start_failure(error: &StartError) -> Failure {
    let failure = |code| Failure::from_error(code, error);
    match error {
        StartError::Platform(_) => failure("platform_database").hint(
            "is PLATFORM_DATABASE_URL right, and that PostgreSQL up and letting this machine in? `stoa doctor` looks closer",
        ),
        StartError::Keys(_) => failure("wrong_master_key").hint(
            "put the key that this database was used with back into STOA_MASTER_KEY; a new key stands before it, separated by a comma",
        ),
        StartError::ManagedAddress(_) => {
            failure("malformed_configuration").hint("correct STOA_MANAGED_DATABASE_URL")
        }
        StartError::Passwords(_) => failure("cannot_start"),
    }
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
