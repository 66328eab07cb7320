//! What an earlier run, a crash or a hand may have left in the data directory.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stoa_domain::Random;
use stoa_embedded_postgres::{Durability, EmbeddedError, EmbeddedPostgres};
use tempfile::TempDir;

use crate::support::{as_owner_of, is_running, reachable_dir, server_pid, settings, sql, start};

/// A cluster with the table `kept`, stopped in order.
async fn used_cluster() -> TempDir {
    let dir = reachable_dir();
    let postgres = start(dir.path()).await.unwrap();
    sql(&postgres.superuser_url("postgres"), "CREATE TABLE kept ()").await;
    postgres.stop().await.unwrap();
    dir
}

async fn works(dir: &Path) -> EmbeddedPostgres {
    let postgres = start(dir).await.unwrap();
    sql(&postgres.superuser_url("postgres"), "SELECT * FROM kept").await;
    postgres
}

/// A server on the cluster that nobody holds, as a killed run leaves it where nothing ends it.
async fn orphan(dir: &Path, settings: &[&str]) -> Child {
    let postgres = start(dir).await.unwrap();
    let program = postgres.bin_dir().join("postgres");
    postgres.stop().await.unwrap();
    let cluster = fs::canonicalize(dir).unwrap().join("cluster");
    let port = fs::read_to_string(dir.join("port")).unwrap();
    let child = as_owner_of(&cluster, program)
        .arg("-D")
        .arg(&cluster)
        .args(["-p", port.trim()])
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ])
        .args(settings)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid_file = cluster.join("postmaster.pid");
    while !fs::read_to_string(&pid_file).is_ok_and(|content| content.contains("ready")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

#[tokio::test]
async fn a_server_left_by_a_killed_run_is_stopped_first() {
    let dir = used_cluster().await;
    let mut left = orphan(dir.path(), &["-c", "cluster_name=stoa-embedded"]).await;
    let postgres = works(dir.path()).await;
    assert_ne!(postgres.pid(), left.id());
    assert!(left.wait().unwrap().success(), "a shutdown in order");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_somebody_else_started_is_left_alone() {
    let dir = used_cluster().await;
    let mut foreign = orphan(dir.path(), &[]).await;
    let error = start(dir.path()).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedError::ForeignServer { pid, .. } if pid == foreign.id()),
        "{error}"
    );
    assert!(is_running(foreign.id()));
    foreign.kill().unwrap();
    foreign.wait().unwrap();
    works(dir.path()).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_process_is_gone_or_another_is_no_obstacle() {
    let dir = used_cluster().await;
    let cluster = dir.path().join("cluster");
    let mut stranger = as_owner_of(&cluster, "sleep").arg("600").spawn().unwrap();
    let mut gone = as_owner_of(&cluster, "true").spawn().unwrap();
    gone.wait().unwrap();
    for pid in [gone.id(), stranger.id()] {
        let pid_file = cluster.join("postmaster.pid");
        let lines = format!("{pid}\n{}\n1700000000\n5432\n\n\n", cluster.display());
        fs::write(&pid_file, lines).unwrap();
        let postgres = works(dir.path()).await;
        assert_eq!(server_pid(dir.path()), postgres.pid());
        postgres.stop().await.unwrap();
    }
    assert!(is_running(stranger.id()), "not ours to stop");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_killed_server_recovers_what_was_committed() {
    let dir = reachable_dir();
    let mut settings = settings(dir.path());
    settings.durability = Durability::Durable;
    let random = Random::system();
    let postgres = EmbeddedPostgres::start(settings.clone(), &random)
        .await
        .unwrap();
    let url = postgres.superuser_url("postgres");
    sql(
        &url,
        "CREATE TABLE late (n int); INSERT INTO late VALUES (42)",
    )
    .await;
    let pid = i32::try_from(postgres.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    postgres.ended().await;
    drop(postgres);
    let again = EmbeddedPostgres::start(settings, &random).await.unwrap();
    let url = again.superuser_url("postgres");
    assert_eq!(sql(&url, "SELECT n FROM late").await, ["42"]);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn another_major_version_is_refused_with_what_to_do() {
    let dir = used_cluster().await;
    fs::write(dir.path().join("cluster/PG_VERSION"), "13\n").unwrap();
    let error = start(dir.path()).await.unwrap_err();
    assert!(
        matches!(
            error,
            EmbeddedError::OtherMajorVersion {
                cluster_major: 13,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("was made by PostgreSQL 13"), "{text}");
    assert!(
        text.contains("STOA_POSTGRES_DIR") && text.contains("pg_upgrade"),
        "{text}"
    );
}

#[tokio::test]
async fn a_failed_start_shows_what_the_server_said() {
    let dir = used_cluster().await;
    let conf = dir.path().join("cluster/postgresql.conf");
    fs::write(conf, "no_such_setting = 1\n").unwrap();
    let error = start(dir.path()).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn a_lost_or_wrong_password_is_said_and_not_replaced() {
    let dir = used_cluster().await;
    let password = dir.path().join("superuser-password");
    fs::write(&password, "not this one").unwrap();
    let error = start(dir.path()).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Refused { .. }), "{error}");
    fs::remove_file(&password).unwrap();
    let error = start(dir.path()).await.unwrap_err();
    assert!(
        error.to_string().contains("superuser-password is missing"),
        "{error}"
    );
    assert!(!password.exists());
}

#[tokio::test]
async fn a_cluster_that_was_never_finished_is_made_anew() {
    let dir = reachable_dir();
    fs::create_dir_all(dir.path().join("cluster.new/base")).unwrap();
    fs::write(dir.path().join("cluster.new/PG_VERSION"), "18\n").unwrap();
    fs::write(
        dir.path().join("superuser-password"),
        "of the unfinished one",
    )
    .unwrap();
    let postgres = start(dir.path()).await.unwrap();
    assert!(!dir.path().join("cluster.new").exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_log_tells_nothing_of_what_people_wrote() {
    let dir = used_cluster().await;
    let postgres = works(dir.path()).await;
    let url = postgres.superuser_url("postgres");
    let failing = "DO $$ BEGIN CREATE TEMP TABLE t (w text UNIQUE); \
                   INSERT INTO t VALUES ('private'), ('private'); \
                   EXCEPTION WHEN OTHERS THEN RAISE LOG 'caught'; END $$";
    sql(&url, failing).await;
    #[expect(
        clippy::disallowed_methods,
        reason = "the server under test, on loopback"
    )]
    let refused = async {
        use secrecy::ExposeSecret;
        let (client, connection) =
            tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls)
                .await
                .unwrap();
        let query = client.simple_query(
            "CREATE TEMP TABLE t (w text UNIQUE); INSERT INTO t VALUES ('private'), ('private')",
        );
        tokio::select! { _ = connection => None, answer = query => answer.err() }
    };
    assert!(refused.await.is_some());
    postgres.stop().await.unwrap();
    let log = fs::read_to_string(dir.path().join("server.log")).unwrap();
    assert!(log.contains("duplicate key value"), "{log}");
    assert!(!log.contains("private"), "{log}");
}
