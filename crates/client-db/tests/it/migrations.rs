//! Bringing a database up to date beside people who talk: locks, rights, crashes, other versions.

use std::time::Duration;

use stoa_client_db::{
    ClientDatabases, ClientDbError, DatabaseAddress, Migrations, PoolSettings, SCHEMA_VERSION,
    SchemaChange, SchemaNews, SchemaTrouble, sessions,
};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::pgbouncer::pgbouncer;
use crate::support::{Client, outbound, psql, url_of};

/// The version that is shipped, and that the program of the next release leads to.
const NOW: i32 = SCHEMA_VERSION;
const NEXT: i32 = NOW + 1;

const ADD_A_COLUMN: &str = "ALTER TABLE stoa.chat_sessions ADD COLUMN shoe_size integer";

/// A program that knows one migration more than the shipped ones.
fn next() -> Migrations {
    Migrations::shipped().with("add_a_column", ADD_A_COLUMN)
}

/// The same client, as a program with these migrations sees it.
fn seen_by(client: &Client, migrations: Migrations) -> Client {
    at(client, &client.target.address, migrations)
}

fn at(client: &Client, address: &DatabaseAddress, migrations: Migrations) -> Client {
    let mut seen = Client::at(
        client.target.instance,
        address.clone(),
        PoolSettings::default(),
    );
    let settings = PoolSettings::default();
    seen.databases =
        ClientDatabases::with_migrations(outbound(), settings, migrations, TaskTracker::new());
    seen
}

/// A client with a conversation, at the shipped version; and the superuser's address of its database.
async fn used() -> (Client, stoa_domain::SessionId, String) {
    let client = Client::new().await;
    let (session, _) = client.session().await;
    let url = url_of(client.target.address.database());
    (client, session, url)
}

/// The latest applied migration, and that there are no more rows than versions.
async fn version(url: &str) -> i32 {
    let all = "SELECT max(version) FROM stoa.schema_migrations HAVING count(*) = max(version)";
    psql(url, all).await.unwrap().parse().unwrap()
}

fn trouble(client: &Client, error: &ClientDbError) -> SchemaTrouble {
    SchemaTrouble::of(error, &client.target.address)
}

/// Runs statements in a session of its own and waits until they have begun to sleep.
async fn hold(url: &str, sql: &str) -> tokio::task::JoinHandle<Result<String, String>> {
    let (owned, statements) = (url.to_owned(), sql.to_owned());
    let holding = tokio::spawn(async move { psql(&owned, &statements).await });
    sleeping(url).await;
    holding
}

/// Waits until a session in this database sleeps.
async fn sleeping(url: &str) {
    let asleep = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event = 'PgSleep'";
    for _ in 0..200 {
        if psql(url, asleep).await.unwrap() != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no session sleeps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_gives_way_to_a_long_query_and_the_chat_goes_on() {
    let (before, session, url) = used().await;
    let after = seen_by(&before, next());
    let mut news = after.databases.schema_news().unwrap();
    let long = "BEGIN; SELECT count(*) FROM stoa.chat_sessions; SELECT pg_sleep(12); COMMIT";
    let long = hold(&url, long).await;

    let readers = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let began = Instant::now();
            let found = sessions::find(&*before.connection().await, session).await;
            assert!(found.unwrap().is_some());
            slowest = slowest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        slowest
    };
    let (served, slowest) = tokio::join!(after.connection(), readers);
    assert_eq!(served.schema_version(), NOW);
    assert!(
        slowest < Duration::from_secs(4),
        "a reader waited for {slowest:?} behind the migration"
    );
    assert!(sessions::find(&served, session).await.unwrap().is_some());

    // It is not tried again at the next connection.
    let began = Instant::now();
    let second = after.connection().await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(second.schema_version(), NOW);
    let learned = news.try_recv().unwrap();
    assert_eq!(learned.instance, after.target.instance);
    let learned = learned.outcome.unwrap_err();
    assert_eq!(learned.code, "schema_lock_not_available");
    assert!(
        learned.message.contains(&format!("migration {NEXT}")),
        "{learned:?}"
    );
    assert!(learned.remedy.contains("pg_stat_activity"), "{learned:?}");
    assert!(news.try_recv().is_err(), "told once");

    // What the remedy names is who holds it; without it the migration is applied.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";
    psql(&url, end).await.unwrap();
    assert!(long.await.unwrap().is_err());
    let change = after.databases.migrate(&after.target).await.unwrap();
    assert_eq!(
        change,
        SchemaChange {
            from: NOW,
            to: NEXT
        }
    );
    drop((served, second));
    after.databases.forget(after.target.instance);
    assert_eq!(after.connection().await.schema_version(), NEXT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_at_once_apply_it_once() {
    let (before, _, url) = used().await;
    let slow = || {
        Migrations::shipped().with(
            "slow",
            format!("SELECT pg_catalog.pg_sleep(0.5); {ADD_A_COLUMN}"),
        )
    };
    let (one, other) = (seen_by(&before, slow()), seen_by(&before, slow()));
    let (first, second) = tokio::join!(
        one.databases.migrate(&one.target),
        other.databases.migrate(&other.target)
    );
    let mut from = [first.unwrap().from, second.unwrap().from];
    from.sort_unstable();
    assert_eq!(from, [NOW, NEXT], "one did it, the other found it done");
    assert_eq!(version(&url).await, NEXT);
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_leaves_the_database_as_it_was() {
    let (before, _, url) = used().await;
    let slow = Migrations::shipped().with(
        "slow",
        "CREATE TABLE stoa.half_done (); SELECT pg_catalog.pg_sleep(30)",
    );
    let program = seen_by(&before, slow);
    let migrating = program.databases.migrate(&program.target);
    let (cut_off, _) = tokio::join!(migrating, async {
        sleeping(&url).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event = 'PgSleep'";
        psql(&url, end).await.unwrap()
    });
    let error = cut_off.unwrap_err();
    assert!(
        matches!(error, ClientDbError::Migration { version: NEXT, .. }),
        "{error:?}"
    );
    assert_eq!(version(&url).await, NOW);
    let half_done = "SELECT to_regclass('stoa.half_done') IS NULL";
    assert_eq!(psql(&url, half_done).await.as_deref(), Ok("t"));
    // And nothing of it stands in the way of the next.
    let program = seen_by(&before, next());
    let change = program.databases.migrate(&program.target).await.unwrap();
    assert_eq!(
        change,
        SchemaChange {
            from: NOW,
            to: NEXT
        }
    );
}

#[tokio::test]
async fn a_migration_that_differs_from_the_applied_one_stops_everything_after_it() {
    let (before, _, url) = used().await;
    let other = seen_by(&before, Migrations::shipped().with("other", "SELECT 1"));
    other.databases.migrate(&other.target).await.unwrap();
    let program = seen_by(&before, next().with("third", "CREATE TABLE stoa.third ()"));
    let refused = program.databases.checkout(&program.target).await;
    let error = refused.err().unwrap();
    assert!(
        matches!(error, ClientDbError::ForeignMigration { version: NEXT }),
        "{error:?}"
    );
    let shown = trouble(&program, &error);
    assert_eq!(shown.code, "schema_foreign_migration");
    assert!(
        shown.message.contains(&format!("migration {NEXT}")),
        "{shown:?}"
    );
    assert_eq!(version(&url).await, NEXT);
}

#[tokio::test]
async fn one_version_behind_is_served_without_the_right_to_migrate_and_the_remedy_gives_it() {
    let (before, session, url) = used().await;
    let role = before.target.address.user().to_owned();
    psql(
        &url,
        &format!(
            "ALTER TABLE stoa.chat_sessions OWNER TO CURRENT_USER;
             GRANT ALL ON stoa.chat_sessions TO \"{role}\";
             ALTER TABLE stoa.chat_sessions DISABLE ROW LEVEL SECURITY"
        ),
    )
    .await
    .unwrap();
    let program = seen_by(&before, next());
    let mut news = program.databases.schema_news().unwrap();
    let served = program.connection().await;
    assert_eq!(served.schema_version(), NOW);
    assert!(sessions::find(&served, session).await.unwrap().is_some());
    let SchemaNews { outcome, .. } = news.try_recv().unwrap();
    let shown = outcome.unwrap_err();
    assert_eq!(shown.code, "schema_insufficient_privilege");

    psql(&url, &shown.remedy).await.unwrap();
    let change = program.databases.migrate(&program.target).await.unwrap();
    assert_eq!(
        change,
        SchemaChange {
            from: NOW,
            to: NEXT
        }
    );
}

#[tokio::test]
async fn older_than_one_version_behind_is_refused_and_then_rests() {
    let (before, _, url) = used().await;
    let broken = next().with("broken", "SELECT 1/0");
    let program = seen_by(&before, broken);
    let failed = program.databases.checkout(&program.target).await;
    let error = failed.err().unwrap();
    assert!(
        matches!(error, ClientDbError::Migration { version, .. } if version == NEXT + 1),
        "{error:?}"
    );
    assert_eq!(trouble(&program, &error).code, "schema_migration_failed");
    assert_eq!(version(&url).await, NOW, "all of it or nothing");
    let refused = program.databases.checkout(&program.target).await;
    assert!(
        matches!(
            refused,
            Err(ClientDbError::SchemaTooOld {
                version: NOW,
                last: "database_migration_failed",
                ..
            })
        ),
        "{:?}",
        refused.err()
    );
    // The program from before still serves it.
    before.session().await;
}

#[tokio::test]
async fn a_schema_that_is_one_version_ahead_is_served_and_one_further_is_not() {
    let (before, session, _) = used().await;
    let newer = seen_by(&before, next());
    newer.databases.migrate(&newer.target).await.unwrap();
    // The program was rolled back: what it had released meanwhile is additive.
    let rolled_back = seen_by(&before, Migrations::shipped());
    let served = rolled_back.connection().await;
    assert_eq!(served.schema_version(), NEXT);
    assert!(sessions::find(&served, session).await.unwrap().is_some());
    rolled_back.session().await;
    let change = rolled_back.databases.migrate(&rolled_back.target).await;
    assert_eq!(
        change.unwrap(),
        SchemaChange {
            from: NEXT,
            to: NEXT
        }
    );

    let newest = seen_by(&before, next().with("third", "SELECT 1"));
    newest.databases.migrate(&newest.target).await.unwrap();
    rolled_back.databases.forget(rolled_back.target.instance);
    let refused = rolled_back.databases.checkout(&rolled_back.target).await;
    let error = refused.err().unwrap();
    assert!(
        matches!(
            error,
            ClientDbError::SchemaTooNew {
                version,
                newest: NEXT
            } if version == NEXT + 1
        ),
        "{error:?}"
    );
    let by_command = rolled_back.databases.migrate(&rolled_back.target).await;
    assert!(matches!(
        by_command,
        Err(ClientDbError::SchemaTooNew { .. })
    ));
    assert_eq!(trouble(&rolled_back, &error).code, "schema_too_new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_through_a_pooler_take_turns_and_leave_no_settings_behind() {
    let (direct, _, url) = used().await;
    let folder = tempfile::tempdir().unwrap();
    let (_child, address) = pgbouncer(&direct, folder.path()).await;
    let (one, other) = (at(&direct, &address, next()), at(&direct, &address, next()));
    let (first, second) = tokio::join!(one.connection(), other.connection());
    assert_eq!(first.schema_version().max(second.schema_version()), NEXT);
    assert_eq!(version(&url).await, NEXT);
    drop((first, second));
    let client = at(&direct, &address, next());
    let through = client.given_url();
    for _ in 0..6 {
        let settings =
            "SELECT current_setting('lock_timeout') || current_setting('statement_timeout')";
        assert_eq!(psql(&through, settings).await.as_deref(), Ok("00"));
    }
}
