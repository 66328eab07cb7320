//! A database of its own for each test, made as the product makes them.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use stoa_client_db::{
    AddressRules, ClientDatabases, DatabaseAddress, PoolSettings, PooledConnection, Target,
    provision::ManagedCluster, sessions,
};
use stoa_domain::{Clock, InstanceId, Random, SessionId, token::SessionToken};
use stoa_outbound::{AddressPolicy, Outbound};
use tokio_util::task::TaskTracker;

/// The superuser's address of the test run's cluster.
pub(crate) fn cluster_url() -> String {
    std::env::var("STOA_TEST_DATABASE_URL").expect(
        "these tests need a PostgreSQL: run them by `make test`, or by \
         `scripts/with-postgres cargo nextest run -p stoa-client-db`",
    )
}

/// The door as a demonstration has it: this machine is allowed.
pub(crate) fn outbound() -> Outbound {
    Outbound::new(AddressPolicy::loopback())
}

pub(crate) fn cluster() -> ManagedCluster {
    ManagedCluster::new(&cluster_url(), outbound(), TaskTracker::new()).unwrap()
}

pub(crate) fn rules() -> AddressRules {
    AddressRules::new(AddressPolicy::loopback())
}

/// Now, to the microsecond, which is what PostgreSQL keeps.
pub(crate) fn now() -> DateTime<Utc> {
    Clock::system().now()
}

pub(crate) fn new_id() -> InstanceId {
    InstanceId::generate(&Clock::system(), &Random::system())
}

macro_rules! new {
    ($id:ident) => {
        stoa_domain::$id::generate(
            &stoa_domain::Clock::system(),
            &stoa_domain::Random::system(),
        )
    };
}
pub(crate) use new;

/// One instance with its database.
pub(crate) struct Client {
    pub(crate) databases: ClientDatabases,
    pub(crate) target: Target,
}

impl Client {
    pub(crate) async fn new() -> Self {
        Self::with(PoolSettings::default()).await
    }

    pub(crate) async fn with(settings: PoolSettings) -> Self {
        let instance = new_id();
        let address = cluster().create(instance, &Random::system()).await.unwrap();
        Self::at(instance, address, settings)
    }

    pub(crate) fn at(
        instance: InstanceId,
        address: DatabaseAddress,
        settings: PoolSettings,
    ) -> Self {
        Self {
            databases: ClientDatabases::new(outbound(), settings, TaskTracker::new()),
            target: Target {
                instance,
                generation: 1,
                address: Arc::new(address),
            },
        }
    }

    pub(crate) async fn connection(&self) -> PooledConnection {
        self.databases.checkout(&self.target).await.unwrap()
    }

    /// A conversation and its token.
    pub(crate) async fn session(&self) -> (SessionId, SessionToken) {
        let token = SessionToken::issue(self.target.instance, &Random::system());
        let id = new!(SessionId);
        let session = sessions::NewSession {
            id,
            token_hash: token.hash(),
            end_user: None,
            locale: Some("en".into()),
            page_url: None,
            created_at: now(),
        };
        sessions::create(&*self.connection().await, &session)
            .await
            .unwrap();
        (id, token)
    }

    /// The address as a client would give it.
    pub(crate) fn given_url(&self) -> String {
        let url = self.target.address.to_secret_url();
        let url = url.expose_secret();
        url.split_once('?').map_or(url, |(url, _)| url).to_owned()
    }
}

/// A bare connection for what the product has no function for.
pub(crate) async fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = tokio::process::Command::new("psql")
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            url,
        ])
        .output()
        .await
        .expect("psql is there");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The cluster's address with another database.
pub(crate) fn url_of(database: &str) -> String {
    let url = cluster_url();
    let (base, query) = url
        .split_once('?')
        .map_or((url.as_str(), None), |(b, q)| (b, Some(q)));
    let (server, _) = base.rsplit_once('/').unwrap();
    match query {
        Some(query) => format!("{server}/{database}?{query}"),
        None => format!("{server}/{database}"),
    }
}

/// Deadlines short enough for a test that waits for them.
pub(crate) fn hasty() -> PoolSettings {
    PoolSettings {
        acquire: Duration::from_millis(500),
        deadlines: stoa_client_db::Deadlines {
            connect: Duration::from_millis(700),
            statement: Duration::from_millis(700),
        },
        ..PoolSettings::default()
    }
}

/// This process's memory in bytes.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
