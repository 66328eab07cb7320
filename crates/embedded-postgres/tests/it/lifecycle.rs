//! The ordinary course: a first start, a restart, a second process.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use secrecy::ExposeSecret;
use stoa_domain::Random;
use stoa_embedded_postgres::{Durability, EmbeddedError, EmbeddedPostgres, Settings};

use crate::support::{
    every_postgresql, is_root, is_running, reachable_dir, server_pid, settings, sql, start,
};

#[tokio::test]
async fn a_restart_keeps_data_password_and_port_with_every_postgresql_here() {
    for binaries in every_postgresql() {
        let dir = reachable_dir();
        let data_dir = dir.path().join("deep/postgres");
        let mut settings = settings(&data_dir);
        settings.binaries = Some(binaries);

        let first = EmbeddedPostgres::start(settings.clone(), &Random::system())
            .await
            .unwrap();
        let url = first.superuser_url("postgres");
        sql(
            &url,
            "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('Grüße')",
        )
        .await;
        let pid = first.pid();
        assert_eq!(pid, server_pid(&data_dir));
        first.stop().await.unwrap();
        assert!(!is_running(pid));
        assert!(
            !data_dir.join("cluster/postmaster.pid").exists(),
            "stopped in order"
        );

        let second = EmbeddedPostgres::start(settings, &Random::system())
            .await
            .unwrap();
        let same = second.superuser_url("postgres");
        assert_eq!(same.expose_secret(), url.expose_secret());
        assert_eq!(
            sql(&same, "SELECT upper(word) FROM kept").await,
            ["GRÜSSE".replace("SS", "ß")]
        );
        second.stop().await.unwrap();
    }
}

#[tokio::test]
async fn only_the_owner_sees_the_data_and_root_never_runs_the_server() {
    let dir = reachable_dir();
    let postgres = start(&dir.path().join("postgres")).await.unwrap();
    let base = postgres.data_dir();
    let mode = |name: &str| fs::metadata(base.join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("superuser-password"), 0o600);
    assert_eq!(mode("server.log"), 0o600);
    assert_eq!(mode("cluster"), 0o700);
    assert_eq!(mode("socket"), 0o700);
    assert!(!base.join("initdb-password").exists());
    let server = fs::metadata(format!("/proc/{}", postgres.pid())).unwrap();
    assert_ne!(server.uid(), 0);
    if is_root() {
        assert_eq!(
            fs::metadata(base.join("superuser-password")).unwrap().uid(),
            0
        );
        assert_eq!(fs::metadata(base).unwrap().uid(), 0);
    }
    let socket = postgres
        .socket_dir()
        .unwrap()
        .join(format!(".s.PGSQL.{}", postgres.port()));
    assert!(socket.exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_enters_without_the_password() {
    let dir = reachable_dir();
    let postgres = start(dir.path()).await.unwrap();
    let url = postgres.superuser_url("postgres");
    assert_eq!(
        sql(&url, "SELECT DISTINCT auth_method FROM pg_hba_file_rules").await,
        ["scram-sha-256"]
    );
    assert_eq!(sql(&url, "SHOW listen_addresses").await, ["127.0.0.1"]);
    let open_to_all = "SELECT datname FROM pg_database \
                       WHERE datallowconn AND has_database_privilege('pg_monitor', datname, 'CONNECT')";
    assert_eq!(sql(&url, open_to_all).await, [""; 0]);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_durable_server_waits_for_the_disk() {
    let dir = reachable_dir();
    let mut settings = settings(dir.path());
    settings.durability = Durability::Durable;
    let postgres = EmbeddedPostgres::start(settings, &Random::system())
        .await
        .unwrap();
    let url = postgres.superuser_url("postgres");
    for setting in [
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "data_checksums",
    ] {
        assert_eq!(
            sql(&url, &format!("SHOW {setting}")).await,
            ["on"],
            "{setting}"
        );
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_on_the_same_directory_names_the_first() {
    let dir = reachable_dir();
    let first = start(dir.path()).await.unwrap();
    let error = start(dir.path()).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedError::InUse { pid: Some(pid), .. } if pid == std::process::id())
    );
    assert!(
        error.to_string().contains("is in use by another Stoa"),
        "{error}"
    );
    assert_eq!(
        sql(&first.superuser_url("postgres"), "SELECT 1").await,
        ["1"],
        "unharmed"
    );
    first.stop().await.unwrap();
    start(dir.path()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_stops_and_can_be_started_again_at_once() {
    let dir = reachable_dir();
    let first = start(dir.path()).await.unwrap();
    let pid = first.pid();
    drop(first);
    let second = start(dir.path()).await.unwrap();
    assert!(!is_running(pid));
    second.stop().await.unwrap();
}

#[tokio::test]
async fn root_moves_data_that_the_server_could_not_reach() {
    if !is_root() {
        return; // An ordinary user's server runs as that user and reaches what that user reaches.
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("data/postgres");
    let postgres = start(&data_dir).await.unwrap();
    let real = postgres.data_dir().to_path_buf();
    assert!(real.starts_with("/var/lib/stoa"), "{}", real.display());
    sql(&postgres.superuser_url("postgres"), "CREATE TABLE kept ()").await;
    postgres.stop().await.unwrap();

    let again = start(&data_dir).await.unwrap();
    assert_eq!(again.data_dir(), real);
    sql(&again.superuser_url("postgres"), "SELECT * FROM kept").await;
    again.stop().await.unwrap();
    fs::remove_dir_all(real).unwrap();
}

#[tokio::test]
async fn without_a_named_directory_one_is_found() {
    let dir = reachable_dir();
    let mut settings = Settings::new(dir.path());
    settings.durability = Durability::Throwaway;
    let postgres = EmbeddedPostgres::start(settings, &Random::system())
        .await
        .unwrap();
    assert!(postgres.bin_dir().join("initdb").is_file());
    assert!(postgres.major_version() >= 14);
    postgres.stop().await.unwrap();
}
