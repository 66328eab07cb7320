//! What the program's state is put together from.

use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use stoa_ai::Ai;
use stoa_client_db::provision::ManagedCluster;
use stoa_client_db::{AddressRules, ClientDatabases};
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{Clock, InstanceId, Random};
use stoa_knowledge::ChildSettings;
use stoa_outbound::Outbound;
use stoa_platform_db::PlatformDb;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

/// What the program is started with.
pub struct Settings {
    /// The address people see.
    pub public_url: Url,
    /// The origin of the hosted chat and the widget's frame.
    pub chat_url: Url,
    /// Whether a client's database may not live in the platform's.
    pub platform_isolation: bool,
    /// Whether one database belongs to one instance. Where it does not, what is in a shared one is
    /// everybody's who shares it.
    pub client_isolation: bool,
    /// The one instance that this deployment is dedicated to, if it is.
    pub dedicated: Option<InstanceId>,
    /// Which database addresses are taken.
    pub address_rules: AddressRules,
    /// Where managed client databases are created, if anywhere.
    pub managed: Option<ManagedCluster>,
    /// The proxies whose word counts on where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
    /// The program that reads documents in a process of its own.
    pub extractor: ChildSettings,
    /// How long an answer waits for the visitor's word on a call of a tool.
    pub confirmation_wait: Duration,
}

/// The parts that [`App::new`](crate::App::new) is made of.
pub struct Parts {
    /// What the program is started with.
    pub settings: Settings,
    /// The platform's database.
    pub platform: PlatformDb,
    /// Its address, to keep clients' databases out of it.
    pub platform_url: SecretString,
    /// The operator's master keys.
    pub keys: MasterKeyRing,
    /// The door to addresses that clients chose.
    pub outbound: Outbound,
    /// The clients' databases.
    pub clients: ClientDatabases,
    /// The AI providers.
    pub ai: Ai,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Every task, so that shutdown can wait.
    pub tasks: TaskTracker,
    /// Cancelled when the process is to end.
    pub shutdown: CancellationToken,
}
