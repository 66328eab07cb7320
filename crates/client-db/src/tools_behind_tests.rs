//! A database that has the schema before this one has no tools and no budgets, and nothing breaks over it. In the
//! crate, since only here can a connection be told that it has found the older one.

use std::sync::Arc;

use serde_json::json;
use stoa_domain::{Budgets, Clock, InstanceId, Random};
use stoa_outbound::{AddressPolicy, Outbound};
use tokio_util::task::TaskTracker;

use super::*;
use crate::holdings::holds_anything;
use crate::provision::ManagedCluster;
use crate::{ClientDatabases, PoolSettings, Target, budgets};

#[tokio::test]
async fn a_database_that_is_not_up_to_date_has_no_tools_and_no_budgets() {
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
    let without = "DROP TABLE stoa.tools, stoa.mcp_servers, stoa.tool_calls, stoa.budgets";
    connection.run_script(without).await.unwrap();
    connection.set_schema_version(2);

    let id = ToolId::generate(&clock, &random);
    let settings = ToolSettings {
        name: "find_order".into(),
        description: "Finds an order.".into(),
        parameters: json!({}),
        method: ToolMethod::Get,
        effect: ToolEffect::Read,
        timeout_ms: 5_000,
        enabled: true,
        sealed: vec![1],
    };
    assert_eq!(list(&connection).await.unwrap(), []);
    let first = PageRequest::default();
    assert_eq!(page(&connection, &first).await.unwrap().data, []);
    assert_eq!(find(&connection, id).await.unwrap(), None);
    assert!(!delete(&connection, id).await.unwrap());
    let added = insert(&connection, id, &settings, 50, clock.now()).await;
    assert!(
        matches!(added, Err(ClientDbError::SchemaTooOld { version: 2, .. })),
        "{added:?}"
    );
    let limits = Budgets::default();
    assert_eq!(budgets::get(&connection).await.unwrap(), None);
    let put = budgets::put(&connection, &limits, clock.now()).await;
    assert!(
        matches!(put, Err(ClientDbError::SchemaTooOld { version: 2, .. })),
        "{put:?}"
    );
    assert!(!holds_anything(&connection).await.unwrap());
}
