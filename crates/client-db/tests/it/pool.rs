//! Pools: few connections, closed after a rest, nobody's but the instance's, and patient with
//! databases that are away.

use std::{sync::Arc, time::Duration};

use stoa_client_db::{
    ClientDatabases, ClientDbError, PoolSettings, SCHEMA_VERSION, Target, sessions,
};
use stoa_domain::{DatabaseState, Random};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::support::{Client, cluster, hasty, new_id, outbound, psql, url_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_database_is_set_up_once_by_those_who_come_at_once() {
    let client = Client::new().await;
    assert_eq!(client.databases.state(client.target.instance), None);
    let all = futures_util::future::join_all((0..5).map(|_| client.connection())).await;
    assert_eq!(client.databases.open_connections(), 5);
    assert_eq!(
        client.databases.state(client.target.instance),
        Some(DatabaseState::Ready)
    );
    drop(all);
    let url = url_of(client.target.address.database());
    let applied = psql(
        &url,
        "SELECT count(*), max(version) FROM stoa.schema_migrations",
    )
    .await;
    assert_eq!(
        applied.unwrap(),
        format!("{SCHEMA_VERSION}|{SCHEMA_VERSION}")
    );
    let open = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = 'stoa' AND c.relkind = 'r' AND NOT c.relrowsecurity";
    assert_eq!(
        psql(&url, open).await.as_deref(),
        Ok("0"),
        "row security is on everywhere"
    );
}

#[tokio::test]
async fn a_client_has_few_connections_and_waits_for_its_own() {
    let client = Client::with(PoolSettings {
        per_client: 2,
        ..hasty()
    })
    .await;
    let first = client.connection().await;
    let second = client.connection().await;
    let began = Instant::now();
    let third = client.databases.checkout(&client.target).await;
    assert!(matches!(third, Err(ClientDbError::Busy)));
    assert!(began.elapsed() < Duration::from_secs(1));
    drop((first, second));
    let _third = client.connection().await;
    assert_eq!(
        client.databases.open_connections(),
        2,
        "connections are used again"
    );
}

#[tokio::test]
async fn connections_close_after_a_rest() {
    let settings = PoolSettings {
        idle_close: Duration::from_millis(50),
        ..hasty()
    };
    let client = Client::with(settings).await;
    drop(client.connection().await);
    client.databases.close_idle();
    assert_eq!(client.databases.open_connections(), 1);
    tokio::time::sleep(Duration::from_millis(80)).await;
    client.databases.close_idle();
    assert_eq!(client.databases.open_connections(), 0);
    assert_eq!(
        client.databases.state(client.target.instance),
        None,
        "nothing is left in memory"
    );
    client.connection().await;
}

#[tokio::test]
async fn the_global_cap_is_shared_out_and_resting_connections_give_way() {
    let databases = ClientDatabases::new(
        outbound(),
        PoolSettings {
            in_all: 1,
            acquire: Duration::from_secs(2),
            ..PoolSettings::default()
        },
        TaskTracker::new(),
    );
    let mut targets = Vec::new();
    for _ in 0..2 {
        let instance = new_id();
        let address = Arc::new(cluster().create(instance, &Random::system()).await.unwrap());
        targets.push(Target {
            instance,
            generation: 1,
            address,
        });
    }
    drop(databases.checkout(&targets[0]).await.unwrap());
    let held = databases.checkout(&targets[1]).await.unwrap();
    assert_eq!(databases.open_connections(), 1);
    // Waiting for one in use: it is handed on rather than kept for its own client's next visitor.
    let waiting = databases.checkout(&targets[0]);
    let (waited, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(held);
    });
    waited.unwrap();
}

#[tokio::test]
async fn another_instances_database_is_refused_and_left_as_it_was() {
    let owner = Client::new().await;
    owner.session().await;
    let url = url_of(owner.target.address.database());
    let state = "SELECT instance_id, schema_version FROM stoa.stoa_instance";
    let before = psql(&url, state).await.unwrap();
    let thief = Client::at(
        new_id(),
        (*owner.target.address).clone(),
        PoolSettings::default(),
    );
    let refused = thief.databases.checkout(&thief.target).await;
    assert!(
        matches!(refused, Err(ClientDbError::Mismatch)),
        "{:?}",
        refused.err()
    );
    assert_eq!(
        thief.databases.state(thief.target.instance),
        Some(DatabaseState::Mismatch)
    );
    assert_eq!(psql(&url, state).await.unwrap(), before);
    // Even when the schema looks like one that waits for a migration.
    psql(&url, "UPDATE stoa.stoa_instance SET schema_version = 0")
        .await
        .unwrap();
    thief.databases.forget(thief.target.instance);
    let refused = thief.databases.checkout(&thief.target).await;
    assert!(matches!(refused, Err(ClientDbError::Mismatch)));
    let lax = PoolSettings {
        marker_required: false,
        ..PoolSettings::default()
    };
    let shared = Client::at(new_id(), (*owner.target.address).clone(), lax);
    shared.connection().await;
    // Brought up to date by whoever comes first, and still its owner's.
    let (instance, version) = (owner.target.instance, SCHEMA_VERSION);
    assert_eq!(
        psql(
            &url,
            "SELECT instance_id, schema_version FROM stoa.stoa_instance"
        )
        .await
        .unwrap(),
        format!("{instance}|{version}")
    );
}

#[tokio::test]
async fn a_migration_that_is_not_ours_stops_everything() {
    let client = Client::new().await;
    client.connection().await;
    client.databases.forget(client.target.instance);
    let url = url_of(client.target.address.database());
    psql(
        &url,
        "UPDATE stoa.schema_migrations SET checksum = '\\x00';
         UPDATE stoa.stoa_instance SET schema_version = 0",
    )
    .await
    .unwrap();
    let refused = client.databases.checkout(&client.target).await;
    assert!(
        matches!(refused, Err(ClientDbError::ForeignMigration { version: 1 })),
        "{:?}",
        refused.err()
    );
}

#[tokio::test]
async fn a_changed_address_is_used_from_then_on_and_the_old_one_no_more() {
    let client = Client::new().await;
    let in_use = client.connection().await;
    let address = cluster()
        .create(client.target.instance, &Random::system())
        .await
        .unwrap();
    let target = Target {
        generation: 2,
        address: Arc::new(address),
        ..client.target.clone()
    };
    let new = client.databases.checkout(&target).await.unwrap();
    drop((in_use, new));
    assert_eq!(
        client.databases.open_connections(),
        1,
        "the old one was not kept"
    );
    // Somebody with a stale snapshot gets the new one too.
    client.connection().await;
}

#[tokio::test]
async fn a_statement_past_its_deadline_costs_the_connection_and_nothing_else() {
    let client = Client::with(hasty()).await;
    let (session, _) = client.session().await;
    let url = url_of(client.target.address.database());
    let lock = "BEGIN; LOCK TABLE stoa.chat_sessions; SELECT pg_sleep(2); COMMIT";
    let locking = tokio::spawn(async move { psql(&url, lock).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    let stuck = sessions::find(&*client.connection().await, session).await;
    assert!(matches!(stuck, Err(ClientDbError::Timeout(_))), "{stuck:?}");
    assert!(began.elapsed() < Duration::from_millis(1_200));
    assert_eq!(client.databases.open_connections(), 0);
    locking.await.unwrap().unwrap();
    assert!(
        sessions::find(&*client.connection().await, session)
            .await
            .unwrap()
            .is_some()
    );
}

/// What PostgREST would do with every table and function of the schema as `role`: the names of
/// those that answered it.
async fn seen_by(url: &str, role: &str) -> Vec<String> {
    let tables = "SELECT string_agg(quote_ident(relname), ' ') FROM pg_class
        WHERE relnamespace = 'stoa'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')";
    let tables = psql(url, tables).await.unwrap();
    assert!(tables.split(' ').count() >= 10, "{tables}");
    let mut seen = Vec::new();
    for table in tables.split(' ') {
        for statement in [
            format!("SELECT count(*) FROM stoa.{table}"),
            format!("INSERT INTO stoa.{table} DEFAULT VALUES"),
            format!("DELETE FROM stoa.{table}"),
            format!("TRUNCATE stoa.{table} CASCADE"),
        ] {
            let as_role = format!("SET ROLE {role}; {statement}");
            match psql(url, &as_role).await {
                Err(error) if error.contains("permission denied") => {}
                other => seen.push(format!("{statement}: {other:?}")),
            }
        }
    }
    let functions = format!(
        "SELECT string_agg(oid::regprocedure::text, ' ') FROM pg_proc
         WHERE pronamespace = 'stoa'::regnamespace
           AND has_function_privilege('{role}', oid, 'EXECUTE')"
    );
    seen.extend(Some(psql(url, &functions).await.unwrap()).filter(|it| !it.is_empty()));
    let rights = format!(
        "SELECT has_schema_privilege('{role}', 'stoa', 'USAGE')
             OR has_schema_privilege('{role}', 'stoa', 'CREATE')"
    );
    seen.extend(Some(psql(url, &rights).await.unwrap()).filter(|it| it != "f"));
    seen
}

#[tokio::test]
async fn the_public_roles_of_a_hosted_database_see_nothing() {
    let client = Client::new().await;
    let database = client.target.address.database().to_owned();
    let url = url_of(&database);
    // As on Supabase: these roles exist, and are granted whatever is made, by whomever, everywhere
    // and in the schema that is to come.
    let generous = |place: &str| {
        ["TABLES", "SEQUENCES", "ROUTINES"]
            .map(|kind| {
                format!(
                    "ALTER DEFAULT PRIVILEGES FOR ROLE {database} {place} GRANT ALL ON {kind} \
                     TO anon, authenticated, PUBLIC;"
                )
            })
            .concat()
    };
    psql(
        &url,
        &format!(
            "DO $$ BEGIN CREATE ROLE anon; EXCEPTION WHEN OTHERS THEN NULL; END $$;
             DO $$ BEGIN CREATE ROLE authenticated; EXCEPTION WHEN OTHERS THEN NULL; END $$;
             GRANT CONNECT ON DATABASE {database} TO anon, authenticated;
             CREATE SCHEMA stoa AUTHORIZATION {database};
             GRANT USAGE ON SCHEMA stoa TO anon, authenticated;
             {}{}
             ALTER DEFAULT PRIVILEGES FOR ROLE {database} GRANT USAGE ON SCHEMAS TO anon, PUBLIC;",
            generous(""),
            generous("IN SCHEMA stoa"),
        ),
    )
    .await
    .unwrap();
    let (session, _) = client.session().await;
    for role in ["anon", "authenticated"] {
        assert_eq!(seen_by(&url, role).await, Vec::<String>::new(), "{role}");
    }

    // Granted again by somebody who wants the API to show the schema: behind the grants there is row
    // security without a policy, so nothing is read, written or changed.
    psql(
        &url,
        "GRANT USAGE ON SCHEMA stoa TO anon, authenticated;
         GRANT ALL ON ALL TABLES IN SCHEMA stoa TO anon, authenticated;",
    )
    .await
    .unwrap();
    for role in ["anon", "authenticated"] {
        let as_role = |statement: &str| format!("SET ROLE {role}; {statement}");
        let read = as_role("SELECT count(*) FROM stoa.chat_sessions");
        assert_eq!(psql(&url, &read).await.as_deref(), Ok("0"));
        let wipe = as_role(
            "WITH gone AS (DELETE FROM stoa.chat_sessions RETURNING id) SELECT count(*) FROM gone",
        );
        assert_eq!(psql(&url, &wipe).await.as_deref(), Ok("0"));
        let write = as_role("INSERT INTO stoa.stoa_instance DEFAULT VALUES");
        let refused = psql(&url, &write).await.unwrap_err();
        assert!(
            refused.contains("row-level security") || refused.contains("null value"),
            "{refused}"
        );
    }
    let kept = format!("SELECT count(*) FROM stoa.chat_sessions WHERE id = '{session}'");
    assert_eq!(psql(&url, &kept).await.as_deref(), Ok("1"));
    // The check says that the door stands open, and how to close it, which works.
    let found = client
        .databases
        .preflight(&client.target.address, client.target.instance)
        .await;
    let rights = found.checks.iter().find(|it| it.name == "rights").unwrap();
    assert!(
        rights.detail.contains("anon, authenticated"),
        "{}",
        rights.detail
    );
    let remedy = rights.remedy.as_deref().unwrap();
    let (_, revoke) = remedy.split_once("Run ").unwrap();
    let (revoke, _) = revoke.split_once(';').unwrap();
    psql(&url, revoke).await.unwrap();
    let refused = psql(
        &url,
        "SET ROLE anon; SELECT count(*) FROM stoa.chat_sessions",
    )
    .await;
    assert!(
        refused
            .unwrap_err()
            .contains("permission denied for schema stoa")
    );
}

#[tokio::test]
async fn a_transaction_with_a_failed_part_is_not_called_done() {
    let client = Client::new().await;
    let (session, _) = client.session().await;
    let mut connection = client.connection().await;
    let transaction = connection.begin().await.unwrap();
    assert!(
        sessions::close(&transaction, session, crate::support::now())
            .await
            .unwrap()
    );
    let taken = sessions::NewSession {
        id: session,
        token_hash: stoa_domain::token::SessionToken::issue(new_id(), &Random::system()).hash(),
        end_user: None,
        locale: None,
        page_url: None,
        created_at: crate::support::now(),
    };
    let conflict = sessions::create(&transaction, &taken).await;
    assert!(
        matches!(conflict, Err(ClientDbError::Conflict { .. })),
        "{conflict:?}"
    );
    assert!(matches!(
        transaction.commit().await,
        Err(ClientDbError::Undone)
    ));
    let stored = sessions::find(&connection, session).await.unwrap().unwrap();
    assert_eq!(stored.closed_at, None);
    let transaction = connection.begin().await.unwrap();
    assert!(
        sessions::close(&transaction, session, crate::support::now())
            .await
            .unwrap()
    );
    transaction.commit().await.unwrap();
    let stored = sessions::find(&connection, session).await.unwrap().unwrap();
    assert!(stored.closed_at.is_some());
}
