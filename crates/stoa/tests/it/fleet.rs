//! Many clients' databases brought up to date: by the sweep, and by the real program's commands.

use std::process::Stdio;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use stoa_client_db::{Migrations, SCHEMA_VERSION};
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{InstanceId, Random};
use stoa_platform_db::testing::{TestDatabase, cluster_url};

use crate::program::Program;
use crate::support::{Server, TestInstance, eventually};

/// The lock that a migration takes in a client's database.
const MIGRATING: &str = "SELECT pg_advisory_lock(7809634091206763)";

/// The next release, whose migration needs to own a table.
fn next() -> Migrations {
    Migrations::shipped().with(
        "add_a_column",
        "ALTER TABLE stoa.chat_sessions ADD COLUMN shoe_size integer",
    )
}

/// A superuser in an instance's managed database.
async fn inside(instance: &TestInstance) -> PgConnection {
    let id: InstanceId = instance.id.parse().unwrap();
    let name = format!("stoa_{}", id.as_uuid().simple());
    let (base, query) = match cluster_url().split_once('?') {
        Some((base, query)) => (base.to_owned(), format!("?{query}")),
        None => (cluster_url(), String::new()),
    };
    let (server, _) = base.rsplit_once('/').unwrap();
    PgConnection::connect(&format!("{server}/{name}{query}"))
        .await
        .unwrap()
}

async fn run_inside(instance: &TestInstance, sql: &str) {
    let mut connection = inside(instance).await;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn has_schema(instance: &TestInstance) -> bool {
    let mut connection = inside(instance).await;
    let has = sqlx::query_scalar("SELECT to_regclass('stoa.chat_sessions') IS NOT NULL");
    has.fetch_one(&mut connection).await.unwrap()
}

/// Takes a table from the role that migrates, which it may go on using.
async fn take_ownership(instance: &TestInstance) {
    let sql = "DO $$ DECLARE owner name; BEGIN
        SELECT tableowner INTO owner FROM pg_tables WHERE schemaname = 'stoa' AND tablename = 'chat_sessions';
        ALTER TABLE stoa.chat_sessions OWNER TO CURRENT_USER;
        ALTER TABLE stoa.chat_sessions DISABLE ROW LEVEL SECURITY;
        EXECUTE format('GRANT ALL ON stoa.chat_sessions TO %I', owner);
    END $$";
    run_inside(instance, sql).await;
}

async fn shown(server: &Server, instance: &TestInstance) -> Value {
    let path = format!("/instances/{}", instance.id);
    let response = server.platform(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json::<Value>().await.unwrap()["database"]["schema"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_brings_everyone_up_to_date_but_the_one_who_does_not_let_it() {
    let server = Server::start().await;
    let mut instances = Vec::new();
    for number in 0..5 {
        instances.push(TestInstance::create(&server, &format!("Client {number}")).await);
    }
    let closed = TestInstance::active(&server, "Closed").await;
    assert_eq!(shown(&server, &closed).await["version"], SCHEMA_VERSION);
    assert_eq!(shown(&server, &closed).await["error"], Value::Null);
    take_ownership(&closed).await;
    let database = server.stop().await;

    // Two replicas of the next release begin at the same time.
    let again = database.again().await;
    let (server, replica) = tokio::join!(
        Server::on(database, |options| options.client_migrations = next()),
        Server::on(again, |options| options.client_migrations = next()),
    );
    for instance in &instances {
        eventually("an instance at the next schema version", async || {
            (shown(&server, instance).await["version"] == SCHEMA_VERSION + 1).then_some(())
        })
        .await;
    }
    let error = eventually("a failure", async || {
        let schema = shown(&server, &closed).await;
        schema["error"].is_object().then_some(schema)
    })
    .await;
    assert_eq!(error["version"], SCHEMA_VERSION);
    let error = &error["error"];
    assert_eq!(error["code"], "schema_insufficient_privilege");
    assert!(error["at"].is_string() && error["message"].is_string());
    // It is served as it is.
    closed.session(&server).await;
    closed.session(&replica).await;

    // What the remedy says mends it, and the next who comes finds out.
    run_inside(&closed, error["remedy"].as_str().unwrap()).await;
    replica.stop().await;
    let database = server.stop().await;
    let server = Server::on(database, |options| options.client_migrations = next()).await;
    closed.session(&server).await;
    eventually(
        "the mended instance at the next schema version",
        async || {
            let schema = shown(&server, &closed).await;
            (schema["version"] == SCHEMA_VERSION + 1 && schema["error"].is_null()).then_some(())
        },
    )
    .await;
}

/// Instances whose databases were emptied, and the program beside them.
struct Fleet {
    program: Program,
    database: TestDatabase,
    instances: Vec<TestInstance>,
}

impl Fleet {
    async fn emptied(count: usize) -> Self {
        let server = Server::start().await;
        let mut instances = Vec::new();
        for number in 0..count {
            instances.push(TestInstance::create(&server, &format!("Client {number}")).await);
        }
        let database = server.stop().await;
        for instance in &instances {
            run_inside(instance, "DROP SCHEMA stoa CASCADE").await;
        }
        let forget = "UPDATE stoa_platform.chat_instances SET schema_version = NULL";
        let mut connection = database.db.acquire().await.unwrap();
        sqlx::raw_sql(forget)
            .execute(&mut *connection)
            .await
            .unwrap();
        drop(connection);
        // The key that the test's server has.
        let key: SecretString = MasterKeyRing::generate("test", &Random::seeded(7));
        let program = Program::new()
            .with("PLATFORM_DATABASE_URL", database.url.expose_secret())
            .with("STOA_MANAGED_DATABASE_URL", &cluster_url())
            .with("STOA_MASTER_KEY", key.expose_secret());
        Self {
            program,
            database,
            instances,
        }
    }

    /// Whether a migration waits in the fourth instance's database.
    async fn waits_for_a_lock(&self) -> bool {
        let mut connection = self.database.db.acquire().await.unwrap();
        let id: InstanceId = self.instances[3].id.parse().unwrap();
        let waits = "SELECT EXISTS (
            SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE d.datname = $1 AND l.locktype = 'advisory' AND NOT l.granted)";
        let waits = sqlx::query_scalar(waits).bind(format!("stoa_{}", id.as_uuid().simple()));
        waits.fetch_one(&mut *connection).await.unwrap()
    }

    /// How many the registry knows to be up to date.
    async fn migrated(&self) -> i64 {
        let mut connection = self.database.db.acquire().await.unwrap();
        let count = "SELECT count(*) FROM stoa_platform.chat_instances WHERE schema_version = $1";
        let count = sqlx::query_scalar(count).bind(SCHEMA_VERSION);
        count.fetch_one(&mut *connection).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_who_cannot_be_migrated_does_not_stop_the_others() {
    let fleet = Fleet::emptied(6).await;
    let closed = &fleet.instances[2];
    run_inside(closed, "CREATE SCHEMA stoa").await;

    let doctor = fleet.program.run(&["doctor"]);
    assert!(
        doctor
            .stdout
            .contains("6 of 6 clients' databases are not at schema version "),
        "{doctor:?}"
    );
    let run = fleet.program.run(&["migrate", "--clients", "--json"]);
    assert_eq!(run.status, 1, "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["migrated"], 5, "{report}");
    assert_eq!(report["up_to_date"], 0);
    assert_eq!(report["skipped"], 0);
    let failed = report["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{report}");
    assert_eq!(failed[0]["slug"], closed.slug.as_str());
    assert_eq!(failed[0]["code"], "schema_insufficient_privilege");
    assert!(failed[0]["message"].is_string());
    let remedy = failed[0]["remedy"].as_str().unwrap();
    assert!(
        run.stderr
            .starts_with("error: clients_not_migrated: 1 of the clients'"),
        "{run:?}"
    );
    assert_eq!(run.stderr.lines().count(), 2, "a line and a hint: {run:?}");
    for (index, instance) in fleet.instances.iter().enumerate() {
        assert_eq!(has_schema(instance).await, index != 2);
    }

    let doctor = fleet.program.run(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let checks = doctor["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|it| it["name"] == "client_schemas")
        .unwrap();
    assert_eq!(check["status"], "warn");
    let named = format!("{} (schema_insufficient_privilege)", closed.slug);
    assert!(
        check["detail"].as_str().unwrap().contains(&named),
        "{check}"
    );
    assert!(
        check["remedy"]
            .as_str()
            .unwrap()
            .contains("stoa migrate --clients")
    );
    let show = fleet.program.run(&["instance", "show", &closed.slug]);
    assert!(
        show.stdout.contains("GRANT USAGE, CREATE ON SCHEMA stoa"),
        "{show:?}"
    );
    let one = fleet.program.run(&["instance", "migrate", &closed.slug]);
    assert_eq!((one.status, one.stdout.as_str()), (1, ""), "{one:?}");
    assert!(
        one.stderr
            .starts_with("error: schema_insufficient_privilege: "),
        "{one:?}"
    );

    run_inside(closed, remedy).await;
    let one = fleet
        .program
        .run(&["instance", "migrate", &closed.slug, "--json"]);
    let one: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(
        (&one["from"], &one["to"]),
        (&0.into(), &SCHEMA_VERSION.into()),
        "{one}"
    );
    let run = fleet.program.run(&["migrate", "--clients", "--json"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["up_to_date"], 6, "{report}");
    assert_eq!(report["failed"].as_array().map(Vec::len), Some(0));
    fleet.database.drop_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_prints_the_sql_once_and_changes_nothing() {
    let fleet = Fleet::emptied(3).await;
    let run = fleet.program.run(&["migrate", "--clients", "--dry-run"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    assert!(
        run.stdout
            .contains("-- 3 databases at version 0: client-0, client-1, client-2\n")
    );
    assert_eq!(
        run.stdout
            .matches("CREATE TABLE stoa.chat_messages")
            .count(),
        1
    );
    let json = fleet
        .program
        .run(&["migrate", "--clients", "--dry-run", "--json"]);
    let plan: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["latest"], SCHEMA_VERSION);
    assert_eq!(plan["groups"].as_array().map(Vec::len), Some(1));
    assert_eq!(plan["groups"][0]["migrations"][0], 1);
    assert_eq!(plan["groups"][0]["slugs"].as_array().map(Vec::len), Some(3));
    let slug = fleet.instances[0].slug.as_str();
    let one = fleet
        .program
        .run(&["instance", "migrate", slug, "--dry-run"]);
    assert!(
        one.stdout.contains("CREATE TABLE stoa.chat_messages"),
        "{one:?}"
    );
    assert_eq!(fleet.migrated().await, 0);
    for instance in &fleet.instances {
        assert!(!has_schema(instance).await);
    }
    // Nor is a platform database made up to date for it.
    let (_, empty) = stoa_platform_db::testing::create_empty().await;
    let program = Program::new().with("PLATFORM_DATABASE_URL", empty.expose_secret());
    let run = program.run(&["migrate", "--clients", "--dry-run", "--json"]);
    let plan: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(plan["groups"].as_array().map(Vec::len), Some(0), "{run:?}");
    let doctor = program.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("migrations are not applied yet"),
        "{doctor:?}"
    );
    fleet.database.drop_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_killed_is_finished_by_the_next() {
    let fleet = Fleet::emptied(6).await;
    // The fourth to be tried waits for a lock, and is under way when the program is killed.
    let mut holder = inside(&fleet.instances[3]).await;
    sqlx::raw_sql(MIGRATING).execute(&mut holder).await.unwrap();
    let mut child = fleet
        .program
        .command(&["migrate", "--clients", "--concurrency", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("three migrated databases and one under way", async || {
        (fleet.migrated().await == 3 && fleet.waits_for_a_lock().await).then_some(())
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fleet.migrated().await, 3);
    holder.close().await.unwrap();

    let run = fleet.program.run(&["migrate", "--clients", "--json"]);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["migrated"], 3, "{report}");
    assert_eq!(report["up_to_date"], 3, "{report}");
    for instance in &fleet.instances {
        assert!(has_schema(instance).await);
    }
    fleet.database.drop_database().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_shown_on_a_terminal() {
    let fleet = Fleet::emptied(3).await;
    // The first waits for a lock until it gives up, so that there is something to watch.
    let mut holder = inside(&fleet.instances[0]).await;
    sqlx::raw_sql(MIGRATING).execute(&mut holder).await.unwrap();
    let stoa = env!("CARGO_BIN_EXE_stoa");
    let command = format!("{stoa} migrate --clients --concurrency 1");
    let environment = fleet.program.command(&[]);
    let mut on_a_terminal = std::process::Command::new("script");
    on_a_terminal
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(fleet.program.folder())
        .env_clear()
        .envs(
            environment
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null());
    let output = on_a_terminal.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        shown.contains("Migrating clients' databases: 1 of 3, 1 failed"),
        "{shown}"
    );
    assert!(shown.contains("schema_lock_not_available"), "{shown}");
    assert_eq!(output.status.code(), Some(1), "{shown}");
    holder.close().await.unwrap();
    fleet.database.drop_database().await;
}
