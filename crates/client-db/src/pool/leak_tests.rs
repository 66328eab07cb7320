//! What one user of a connection leaves in its session, the next one does not find. Made on purpose
//! with what only this crate can send.

use std::sync::Arc;

use postgres_types::Type;
use stoa_domain::{Clock, InstanceId, Random};
use stoa_outbound::{AddressPolicy, Outbound};
use tokio_util::task::TaskTracker;

use super::{ClientDatabases, PoolSettings, Target};
use crate::{connection::ClientConnection, provision::ManagedCluster};

/// What could be left behind, as statements that a part of ours might send some day.
const LEAKS: [&str; 9] = [
    "SET search_path = 'nowhere'",
    "SET ROLE NONE; SET statement_timeout = '1ms'",
    "SET default_transaction_read_only = on",
    "CREATE TEMP TABLE left_behind (a int)",
    "LISTEN left_behind",
    "PREPARE left_behind AS SELECT 1",
    "BEGIN; DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1; COMMIT",
    "SELECT pg_advisory_lock(4711)",
    "BEGIN",
];

/// Everything of the kind that a session holds; empty in a fresh one.
const HELD: &str = "SELECT pg_catalog.concat_ws(' ',
    (SELECT pg_catalog.string_agg(s.name, ' ') FROM pg_catalog.pg_settings s
        WHERE s.source = 'session' AND s.name NOT IN ('application_name', 'client_encoding', 'extra_float_digits')),
    (SELECT pg_catalog.string_agg(c.relname, ' ') FROM pg_catalog.pg_class c
        WHERE c.relpersistence = 't' AND c.relnamespace = pg_catalog.pg_my_temp_schema()),
    (SELECT pg_catalog.string_agg(l, ' ') FROM pg_catalog.pg_listening_channels() l),
    (SELECT pg_catalog.string_agg(p.name, ' ') FROM pg_catalog.pg_prepared_statements p WHERE p.from_sql),
    (SELECT pg_catalog.string_agg(u.name, ' ') FROM pg_catalog.pg_cursors u WHERE u.name <> ''),
    (SELECT 'lock' FROM pg_catalog.pg_locks k WHERE k.locktype = 'advisory' AND k.pid = pg_catalog.pg_backend_pid() LIMIT 1)) AS held";

async fn client() -> (ClientDatabases, Target) {
    let url = std::env::var("STOA_TEST_DATABASE_URL").expect(
        "this test needs a PostgreSQL: run it by `scripts/with-postgres cargo nextest run -p stoa-client-db`",
    );
    let outbound = Outbound::new(AddressPolicy::loopback());
    let cluster = ManagedCluster::new(&url, outbound.clone(), TaskTracker::new()).unwrap();
    let (clock, random) = (Clock::system(), Random::system());
    let instance = InstanceId::generate(&clock, &random);
    let target = Target {
        instance,
        generation: 1,
        address: Arc::new(cluster.create(instance, &random).await.unwrap()),
    };
    let settings = PoolSettings {
        per_client: 1,
        ..PoolSettings::default()
    };
    (
        ClientDatabases::new(outbound, settings, TaskTracker::new()),
        target,
    )
}

async fn held(connection: &ClientConnection) -> String {
    let rows = connection.query(HELD, &[]).await.unwrap();
    rows[0].get("held")
}

#[tokio::test]
async fn nothing_is_left_to_the_next_user_of_a_connection() {
    let (databases, target) = client().await;
    for leak in LEAKS {
        let connection = databases.checkout(&target).await.unwrap();
        assert_eq!(held(&connection).await, "");
        let process = connection.announced_process();
        connection.run_script(leak).await.unwrap();
        if !leak.contains("1ms") && leak != "BEGIN" {
            assert_ne!(held(&connection).await, "", "{leak}");
        }
        drop(connection);
        let next = databases.checkout(&target).await.unwrap();
        assert_eq!(held(&next).await, "", "{leak}");
        assert_ne!(next.announced_process(), process, "{leak}");
    }
    // A plain statement's word is taken for what it does; another word's is not.
    let connection = databases.checkout(&target).await.unwrap();
    connection
        .execute("SET statement_timeout = '1h'", &[])
        .await
        .unwrap();
    drop(connection);
    let next = databases.checkout(&target).await.unwrap();
    assert_eq!(held(&next).await, "");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_undone_and_its_connection_with_it() {
    let (databases, target) = client().await;
    let insert = "INSERT INTO stoa.rag_instructions SELECT r.* FROM stoa.rag_instructions r";
    let mut connection = databases.checkout(&target).await.unwrap();
    let before = connection.announced_process();
    {
        let transaction = connection.begin().await.unwrap();
        transaction.execute(insert, &[]).await.unwrap();
    }
    drop(connection);
    let mut next = databases.checkout(&target).await.unwrap();
    assert_ne!(next.announced_process(), before);
    // One that ended well is used again.
    let before = next.announced_process();
    let transaction = next.begin().await.unwrap();
    transaction
        .query("SELECT $1 AS it", &[(&1_i32, Type::INT4)])
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    drop(next);
    let again = databases.checkout(&target).await.unwrap();
    assert_eq!(again.announced_process(), before);
}
