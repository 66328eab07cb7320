//! Checks of the databases: found, reachable, up to date, opened by the keys, and of one time.

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use stoa_app::master_keys::{self, MasterKey};
use stoa_app::start;
use stoa_client_db::provision::ManagedCluster;
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{Clock, Random};
use stoa_embedded_postgres::installed;
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_platform_db::{Condition, PlatformDb};
use tokio_util::task::TaskTracker;

use super::clients;
use super::report::Check;
use crate::application;
use crate::command_line::failure::with_causes;
use crate::configuration::Configuration;
use crate::data_directory::DataDirectory;
use crate::databases::Databases;
use crate::dedicated;

const POSTGRES: &str = "embedded_postgres";
const CLIENT: &str = "client_database";
const PLATFORM: &str = "platform_database";
const SCHEMA: &str = "platform_schema";
const STORED_KEYS: &str = "stored_keys";
const CLOCK: &str = "clock";
const MANAGED: &str = "managed_databases";

/// More than this and times in lists and limits begin to look wrong.
const TOLERABLE_SKEW: TimeDelta = TimeDelta::seconds(2);
/// More than this and links and sessions end at the wrong time.
const HARMFUL_SKEW: TimeDelta = TimeDelta::seconds(60);

/// The client's database of a dedicated deployment.
pub(super) async fn dedicated(configuration: &Configuration) -> Option<Check> {
    let client = configuration.client.as_ref()?;
    Some(match dedicated::examine(configuration).await {
        Ok(()) => Check::pass(CLIENT, format!("the database of {} can be used", client.id)),
        Err(failure) => Check::fail(CLIENT, failure.message(), failure.remedy()),
    })
}

/// The embedded PostgreSQL's programs, and whether there is a cluster to look into.
pub(super) fn embedded(configuration: &Configuration) -> (Check, bool) {
    if configuration.platform_database.is_some() {
        return (
            Check::pass(POSTGRES, "not used: PLATFORM_DATABASE_URL is set"),
            true,
        );
    }
    if configuration.client.is_some() {
        let detail = "not used: the platform's tables are in the client's database";
        return (Check::pass(POSTGRES, detail), true);
    }
    let directory = DataDirectory::new(&configuration.data_directory).postgres();
    match installed(&directory, configuration.postgres_directory.as_deref()) {
        Ok(found) => {
            let exists = directory.join("cluster").exists();
            let made = if exists {
                ""
            } else {
                "; its cluster is made at the first start"
            };
            let bin = found.bin.display();
            (
                Check::pass(
                    POSTGRES,
                    format!("PostgreSQL {} in {bin}{made}", found.major),
                ),
                exists,
            )
        }
        // The error says itself what to do; the remedy is the way around.
        Err(error) => {
            let remedy = "do what it says, or set PLATFORM_DATABASE_URL to a PostgreSQL of yours";
            (Check::fail(POSTGRES, with_causes(&error), remedy), false)
        }
    }
}

/// Everything that takes a connection. An embedded PostgreSQL that does not run is started for it.
pub(super) async fn connected(
    configuration: &Configuration,
    keys: Option<&MasterKeyRing>,
) -> Vec<Check> {
    let databases = match Databases::open_beside(configuration, &Random::system()).await {
        Ok(databases) => databases,
        Err(failure) => {
            return vec![Check::fail(PLATFORM, failure.message(), failure.remedy())];
        }
    };
    let mut checks = platform(&databases, keys).await;
    if configuration.client.is_none() {
        checks.push(managed(&databases).await);
    }
    if let Err(failure) = databases.stop().await {
        checks.push(Check::fail(POSTGRES, failure.message(), failure.remedy()));
    }
    checks
}

async fn platform(databases: &Databases, keys: Option<&MasterKeyRing>) -> Vec<Check> {
    let clock = Clock::system();
    let looked = async {
        let platform = PlatformDb::connect_verified(
            databases.platform(),
            databases.platform_ca(),
            application::COMMAND_CONNECTIONS,
        )
        .await?;
        // The first look also opens the connection, whose time the second one shall not count.
        platform.condition().await?;
        let before = clock.now();
        let condition = platform.condition().await?;
        let middle = before + (clock.now() - before) / 2;
        Ok::<_, stoa_platform_db::DbError>((platform, condition, middle))
    };
    let (platform, condition, middle) = match looked.await {
        Ok(looked) => looked,
        Err(error) => {
            return vec![Check::fail(
                PLATFORM,
                with_causes(&error),
                "look at host, port, name, role and password in PLATFORM_DATABASE_URL, and whether that PostgreSQL runs and lets this machine in (pg_hba.conf)",
            )];
        }
    };
    let version = &condition.server_version;
    let mut checks = vec![
        Check::pass(PLATFORM, format!("PostgreSQL {version} answers")),
        schema(&condition),
        clock_skew(condition.now - middle),
    ];
    if let Some(keys) = keys
        && condition.is_migrated()
    {
        checks.push(stored_keys(&platform, keys).await);
    }
    if condition.is_migrated() {
        checks.push(clients::schemas(&platform, clock.now()).await);
    }
    platform.close().await;
    checks
}

fn schema(condition: &Condition) -> Check {
    match condition {
        Condition {
            unknown_migrations: 1..,
            ..
        } => Check::fail(
            SCHEMA,
            "a newer version of Stoa has migrated this database",
            "run that version, or restore a backup from before",
        ),
        Condition {
            pending_migrations: pending @ 1..,
            ..
        } => Check::warn(
            SCHEMA,
            format!("{pending} migrations are not applied yet"),
            "stoa migrate (a starting server does it too)",
        ),
        _ => Check::pass(SCHEMA, "up to date"),
    }
}

/// How far the database's clock is ahead of this machine's.
fn clock_skew(ahead: TimeDelta) -> Check {
    let seconds = ahead.as_seconds_f64();
    let detail = format!("the database's clock differs from this machine's by {seconds:+.2} s");
    let remedy = "let both machines take their time from NTP (chrony or systemd-timesyncd)";
    match ahead.abs() {
        skew if skew > HARMFUL_SKEW => Check::fail(CLOCK, detail, remedy),
        skew if skew > TOLERABLE_SKEW => Check::warn(CLOCK, detail, remedy),
        _ => Check::pass(CLOCK, detail),
    }
}

async fn stored_keys(platform: &PlatformDb, keys: &MasterKeyRing) -> Check {
    if let Err(error) = start::prove_keys(platform, keys).await {
        let failure = application::start_failure(&error);
        return Check::fail(STORED_KEYS, failure.message(), failure.remedy());
    }
    match master_keys::in_use(platform, keys, Clock::system().now()).await {
        Ok(keys) => keys_in_use(&keys),
        Err(error) => Check::fail(
            STORED_KEYS,
            with_causes(&error),
            "look at the platform database",
        ),
    }
}

/// Which master keys hold what.
fn keys_in_use(keys: &[MasterKey]) -> Check {
    let each: Vec<String> = keys
        .iter()
        .map(|key| format!("{}: {}", key.id, crate::keys::holds(key)))
        .collect();
    let detail = format!("the master keys open what is stored; {}", each.join("; "));
    if keys.iter().any(|key| !key.is_configured && key.is_used()) {
        return Check::warn(
            STORED_KEYS,
            detail,
            "put the key that is not configured back into STOA_MASTER_KEY, after the newer ones",
        );
    }
    Check::pass(STORED_KEYS, detail)
}

async fn managed(databases: &Databases) -> Check {
    let remedy =
        "set STOA_MANAGED_DATABASE_URL to a cluster and a role with CREATEDB and CREATEROLE";
    // The operator's own host is reached whatever the policy for clients says.
    let outbound = Outbound::new(AddressPolicy::default());
    let Some(url) = databases.managed() else {
        return Check::warn(
            MANAGED,
            "none: only clients with a database of their own can be created",
            remedy,
        );
    };
    let cluster = match ManagedCluster::new(url.expose_secret(), outbound, TaskTracker::new()) {
        Ok(cluster) => cluster,
        Err(error) => return Check::fail(MANAGED, with_causes(&error), remedy),
    };
    match cluster.condition().await {
        Ok(found) if !found.may_create => {
            Check::fail(MANAGED, "its role may not make databases and roles", remedy)
        }
        Ok(found) if !found.has_vectors => Check::warn(
            MANAGED,
            format!(
                "PostgreSQL {} without pgvector: search is by words only",
                found.server_version
            ),
            "install pgvector on that server",
        ),
        Ok(found) => Check::pass(
            MANAGED,
            format!("PostgreSQL {} with pgvector", found.server_version),
        ),
        Err(error) => Check::fail(MANAGED, with_causes(&error), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little_and_not_much() {
        assert!(!clock_skew(TimeDelta::milliseconds(-300)).is_noticed());
        assert!(clock_skew(TimeDelta::seconds(-5)).is_noticed());
        assert!(!clock_skew(TimeDelta::seconds(5)).failed());
        assert!(clock_skew(TimeDelta::seconds(-90)).failed());
    }

    #[test]
    fn a_schema_of_the_future_is_a_failure_and_one_of_the_past_is_not() {
        let condition = |pending_migrations, unknown_migrations| Condition {
            server_version: "18.1".into(),
            now: Clock::system().now(),
            pending_migrations,
            unknown_migrations,
        };
        assert!(schema(&condition(0, 1)).failed());
        assert!(schema(&condition(2, 0)).is_noticed() && !schema(&condition(2, 0)).failed());
        assert!(!schema(&condition(0, 0)).is_noticed());
    }
}
