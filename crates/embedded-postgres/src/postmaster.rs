//! A server that an earlier run left behind, and the pid file that it or a crash left.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::EmbeddedError;
use crate::account::{Account, give};

/// Says in the command line of a server that Stoa started it.
pub(crate) const MARK: &str = "cluster_name=stoa-embedded";

/// How long a server may take to write out its buffers when asked to stop.
pub(crate) const FAST_SHUTDOWN: Duration = Duration::from_secs(60);
/// How long one may take that does not write them.
pub(crate) const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(20);

/// Makes way for a new server on this cluster: ends one that an earlier run of ours left, and
/// defuses a pid file whose number now belongs to some other process.
///
/// Called with the data directory's lock held, so no living Stoa owns what is found.
pub(crate) async fn make_way(
    cluster: &Path,
    account: Option<&Account>,
) -> Result<(), EmbeddedError> {
    let pid_file = cluster.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&pid_file) else {
        return Ok(());
    };
    let Some(pid) = parse_pid(&content) else {
        return Ok(()); // PostgreSQL says best itself what is wrong with such a file.
    };
    match who_is(pid, cluster) {
        Process::Gone => Ok(()), // PostgreSQL sees that by itself.
        Process::OurServer => end_orphan(pid, cluster).await,
        Process::ForeignServer => Err(EmbeddedError::ForeignServer {
            cluster: cluster.to_path_buf(),
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
        }),
        Process::Unrelated => disown(&pid_file, &content, account),
    }
}

enum Process {
    Gone,
    OurServer,
    ForeignServer,
    Unrelated,
}

async fn end_orphan(pid: Pid, cluster: &Path) -> Result<(), EmbeddedError> {
    tracing::warn!(
        pid = pid.as_raw_nonzero().get(),
        "an earlier run left its PostgreSQL behind; stopping it"
    );
    for (signal, patience) in [
        (Signal::INT, FAST_SHUTDOWN),
        (Signal::QUIT, IMMEDIATE_SHUTDOWN),
    ] {
        // It may end by itself at any moment: what counts is whether it is still there.
        let _ = kill_process(pid, signal);
        let gone = async {
            while matches!(who_is(pid, cluster), Process::OurServer) {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(patience, gone).await.is_ok() {
            return Ok(());
        }
    }
    Err(EmbeddedError::OrphanStays {
        pid: pid.as_raw_nonzero().get().unsigned_abs(),
    })
}

/// Judges by the command line, which everybody may read, unlike the working directory.
fn who_is(pid: Pid, cluster: &Path) -> Process {
    let proc = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    match fs::read(proc) {
        Ok(command_line) if runs_cluster(&command_line, cluster) => {
            if command_line
                .split(|byte| *byte == 0)
                .any(|argument| argument == MARK.as_bytes())
            {
                Process::OurServer
            } else {
                Process::ForeignServer
            }
        }
        _ if is_alive(pid) => Process::Unrelated,
        _ => Process::Gone,
    }
}

fn is_alive(pid: Pid) -> bool {
    // Not being allowed to signal a process means that there is one.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

fn runs_cluster(command_line: &[u8], cluster: &Path) -> bool {
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    let program = arguments[0].rsplit(|byte| *byte == b'/').next();
    let directory = cluster.as_os_str().as_bytes();
    matches!(program, Some(b"postgres" | b"postmaster"))
        && arguments
            .windows(2)
            .any(|pair| pair[0] == b"-D" && pair[1] == directory)
}

/// Puts our own process id in the place of an unrelated process's.
///
/// PostgreSQL refuses to start while the process in its pid file lives, unless that process is its
/// parent, which we are about to be. Removing the file would do too, but it also names the shared
/// memory by which PostgreSQL notices children of a killed server that are still writing.
fn disown(pid_file: &Path, content: &str, account: Option<&Account>) -> Result<(), EmbeddedError> {
    let rest = content.split_once('\n').map_or("", |(_, rest)| rest);
    let write = || {
        // Never written through: the directory is the server's, and a link in it could lead anywhere.
        fs::remove_file(pid_file)?;
        let mut file: File = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(pid_file)?;
        write!(file, "{}\n{rest}", std::process::id())
    };
    write().map_err(EmbeddedError::io("rewrite", pid_file))?;
    give(pid_file, account)
}

/// The process id in a `postmaster.pid`; negative for a single-user server.
fn parse_pid(content: &str) -> Option<Pid> {
    let number: i32 = content.lines().next()?.trim().parse().ok()?;
    Pid::from_raw(number.checked_abs()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_process_id() {
        let pid = |content| parse_pid(content).map(|pid| pid.as_raw_nonzero().get());
        assert_eq!(pid("4711\n/data/cluster\n1700000000\n"), Some(4711));
        assert_eq!(pid("-12\n"), Some(12));
        for content in ["", "0\n", "pid\n", "99999999999\n", "-2147483648\n"] {
            assert_eq!(pid(content), None, "{content:?}");
        }
    }

    #[test]
    fn recognises_a_server_by_its_command_line() {
        let cluster = Path::new("/data/cluster");
        let line = |arguments: &[&str]| arguments.join("\0").into_bytes();
        assert!(runs_cluster(
            &line(&["/usr/lib/postgres", "-D", "/data/cluster", ""]),
            cluster
        ));
        assert!(!runs_cluster(
            &line(&["/bin/postgres", "-D", "/data/cluster2", ""]),
            cluster
        ));
        assert!(!runs_cluster(
            &line(&["vi", "-D", "/data/cluster"]),
            cluster
        ));
        assert!(!runs_cluster(b"", cluster));
    }

    #[test]
    fn an_unrelated_process_loses_the_pid_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        let content = "1\n/data/cluster\n1700000000\n5432\n";
        disown(&file, content, None).unwrap_err(); // nothing there to replace
        fs::write(&file, content).unwrap();
        disown(&file, content, None).unwrap();
        let rewritten = fs::read_to_string(&file).unwrap();
        let expected = format!("{}\n/data/cluster\n1700000000\n5432\n", std::process::id());
        assert_eq!(rewritten, expected);
    }
}
