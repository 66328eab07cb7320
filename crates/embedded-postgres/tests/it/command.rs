//! `with-postgres`, as a person or a test run uses it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;

use crate::support::{
    every_postgresql, is_root, is_running, reachable_dir, server_pid, sql, start,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_with-postgres");

/// Says the server's address on standard output and stays until standard input ends.
const TALK: [&str; 3] = ["sh", "-c", "echo \"$STOA_TEST_DATABASE_URL\"; exec cat"];

fn with_postgres(temp: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env("TMPDIR", temp)
        .env("STOA_POSTGRES_DIR", every_postgresql().remove(0))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim_end().to_owned()
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn the_commands_status_is_ours_and_nothing_is_left() {
    let temp = reachable_dir();
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let output = with_postgres(temp.path())
            .args(["sh", "-c", script])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert!(is_empty(temp.path()));
    }
    let usage = with_postgres(temp.path()).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    let missing = with_postgres(temp.path())
        .arg("/nonexistent")
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("cannot run /nonexistent"));
    assert!(is_empty(temp.path()));
}

#[tokio::test]
async fn a_terminated_run_removes_everything() {
    let temp = reachable_dir();
    let mut child = with_postgres(temp.path()).args(TALK).spawn().unwrap();
    let url = first_line(&mut child);
    assert_eq!(sql(&SecretString::from(url), "SELECT 1").await, ["1"]);
    let _open = child.stdin.take(); // else waiting would end the command
    signal(&child, Signal::TERM);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(128 + 15));
    assert!(is_empty(temp.path()));
}

#[tokio::test]
async fn an_interrupted_run_waits_for_its_command_and_removes_everything() {
    let temp = reachable_dir();
    let mut child = with_postgres(temp.path()).args(TALK).spawn().unwrap();
    let url = SecretString::from(first_line(&mut child));
    signal(&child, Signal::INT);
    // As a test runner does that still needs its database to end well.
    assert_eq!(sql(&url, "SELECT pg_sleep(0.2), 1").await.len(), 1);
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(is_empty(temp.path()));
}

#[tokio::test]
async fn data_survives_a_killed_owner_and_a_second_owner_is_refused() {
    let temp = reachable_dir();
    let data_dir = temp.path().join("data");
    let owned = |command: &mut Command| {
        command
            .arg("--data-dir")
            .arg(&data_dir)
            .args(TALK)
            .spawn()
            .unwrap()
    };
    let mut child = owned(&mut with_postgres(temp.path()));
    let url = SecretString::from(first_line(&mut child));
    sql(
        &url,
        "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)",
    )
    .await;
    let server = server_pid(&data_dir);

    let refused = owned(&mut with_postgres(temp.path()))
        .wait_with_output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains(&format!("(process {})", child.id())),
        "{said}"
    );

    child.kill().unwrap();
    child.wait().unwrap();
    // Told by the system that its parent is gone, it stops in order.
    let stopped = async {
        while is_running(server) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stopped)
        .await
        .expect("the server outlives its owner");
    assert!(!data_dir.join("cluster/postmaster.pid").exists());
    let mut next = owned(&mut with_postgres(temp.path()));
    let url = SecretString::from(first_line(&mut next));
    assert_eq!(sql(&url, "SELECT n FROM kept").await, ["1"]);
    drop(next.stdin.take());
    assert_eq!(next.wait().unwrap().code(), Some(0));
    assert!(data_dir.join("cluster").is_dir());
}

#[tokio::test]
async fn the_server_sees_none_of_our_environment() {
    let temp = reachable_dir();
    let mut child = with_postgres(temp.path())
        .env("PGPASSWORD", "hunter2")
        .env("PGDATA", "/nonexistent")
        .env("STOA_MASTER_KEY", "hunter2")
        .args(TALK)
        .spawn()
        .unwrap();
    let url = SecretString::from(first_line(&mut child));
    let environment = sql(
        &url,
        "CREATE TEMP TABLE e (line text); COPY e FROM PROGRAM 'env'; SELECT line FROM e",
    )
    .await;
    assert!(environment.iter().any(|line| line.starts_with("PATH=")));
    assert!(
        !environment.iter().any(|line| line.contains("hunter2")),
        "{environment:?}"
    );
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// Root's tests show the drop to another user; this one that nobody has to be root.
#[tokio::test]
async fn an_ordinary_user_needs_no_root() {
    if !is_root() {
        return; // Then all the other tests are that user's.
    }
    let temp = reachable_dir();
    let program = temp.path().join("with-postgres");
    fs::copy(PROGRAM, &program).unwrap(); // the build directory may be closed to others
    let data_dir = temp.path().join("theirs");
    fs::create_dir(&data_dir).unwrap();
    std::os::unix::fs::chown(&data_dir, Some(65_534), Some(65_534)).unwrap();
    for n in 1..=2 {
        let output = Command::new(&program)
            .env("STOA_POSTGRES_DIR", every_postgresql().remove(0))
            .arg("--data-dir")
            .arg(data_dir.join("postgres"))
            .args(["sh", "-c", "id -u"])
            .uid(65_534)
            .gid(65_534)
            .current_dir("/")
            .output()
            .unwrap();
        assert!(output.status.success(), "start {n}: {output:?}");
        assert_eq!(output.stdout, b"65534\n");
    }
    // What the user made, root goes on with, as that user.
    let postgres = start(&data_dir.join("postgres")).await.unwrap();
    assert_eq!(
        sql(&postgres.superuser_url("postgres"), "SELECT 1").await,
        ["1"]
    );
    postgres.stop().await.unwrap();
}
