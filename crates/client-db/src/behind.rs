//! A database that has the schema before this one, for tests. In the crate, since only here can a
//! connection be told that it has found the older one.

use std::sync::Arc;

use stoa_domain::{Clock, InstanceId, Random};
use stoa_outbound::{AddressPolicy, Outbound};
use tokio_util::task::TaskTracker;

use crate::provision::ManagedCluster;
use crate::{ClientDatabases, PoolSettings, PooledConnection, Target};

/// What came with the third version.
const WITHOUT: &str = "ALTER TABLE stoa.chat_messages DROP COLUMN steps, DROP COLUMN cost_micros;
    DROP TABLE stoa.tool_calls, stoa.tools, stoa.mcp_servers, stoa.budgets;";

/// A connection to a new instance's database that is one version behind.
pub(crate) async fn behind() -> (PooledConnection, InstanceId) {
    let url = std::env::var("STOA_TEST_DATABASE_URL")
        .expect("these tests need a PostgreSQL: run them by `scripts/with-postgres`");
    let (clock, random) = (Clock::system(), Random::system());
    let outbound = Outbound::new(AddressPolicy::loopback());
    let instance = InstanceId::generate(&clock, &random);
    let cluster = ManagedCluster::new(&url, outbound.clone(), TaskTracker::new()).unwrap();
    let target = Target {
        instance,
        generation: 1,
        address: Arc::new(cluster.create(instance, &random).await.unwrap()),
    };
    let databases = ClientDatabases::new(outbound, PoolSettings::default(), TaskTracker::new());
    let mut connection = databases.checkout(&target).await.unwrap();
    connection.run_script(WITHOUT).await.unwrap();
    connection.set_schema_version(2);
    (connection, instance)
}
