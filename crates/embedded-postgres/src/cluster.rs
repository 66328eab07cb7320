//! The cluster: PostgreSQL's directory of databases, made once.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

use secrecy::{ExposeSecret, SecretString};
use stoa_domain::Random;

use crate::EmbeddedError;
use crate::account::give;
use crate::binaries::{Binaries, command};
use crate::data_dir::{DataDir, write_private};

/// The role that owns everything in the cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// The major version of the cluster there is, `None` where there is none yet.
pub(crate) fn major(cluster: &Path) -> Result<Option<u32>, EmbeddedError> {
    let path = cluster.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(version) => match version.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_) => Err(EmbeddedError::Damaged {
                path,
                problem: "does not name a version of PostgreSQL; restore it or move the data directory away",
            }),
        },
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("read", &path)(error))
        }
        // Clusters are renamed into place when complete, so this is not one that was never finished.
        Err(_) if cluster.exists() => Err(EmbeddedError::Damaged {
            path: cluster.to_path_buf(),
            problem: "is no cluster of PostgreSQL's; move it away to have one made",
        }),
        Err(_) => Ok(None),
    }
}

/// The superuser's password of an existing cluster.
pub(crate) fn read_password(path: &Path) -> Result<SecretString, EmbeddedError> {
    let password = match fs::read_to_string(path) {
        Ok(password) => password.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(EmbeddedError::io("read", path)(error)),
    };
    if password.is_empty() {
        return Err(EmbeddedError::Damaged {
            path: path.to_path_buf(),
            problem: "is missing, and the cluster beside it cannot be opened without; restore it",
        });
    }
    Ok(SecretString::from(password))
}

/// Makes the cluster, and the password for it.
///
/// The cluster appears under its name when it is complete, after the password is on disk: a process
/// that is killed meanwhile leaves nothing that a later one could take for a cluster.
pub(crate) async fn create(
    dir: &DataDir,
    binaries: &Binaries,
    random: &Random,
) -> Result<SecretString, EmbeddedError> {
    let password = SecretString::from(hex(&random.bytes::<32>()));
    write_private(&dir.password_file(), password.expose_secret())?;
    let for_initdb = dir.path().join("initdb-password");
    write_private(&for_initdb, password.expose_secret())?;
    give(&for_initdb, dir.account())?;

    let made = make(dir, binaries, &for_initdb).await;
    fs::remove_file(&for_initdb).map_err(EmbeddedError::io("remove", &for_initdb))?;
    made?;
    Ok(password)
}

async fn make(
    dir: &DataDir,
    binaries: &Binaries,
    password_file: &Path,
) -> Result<(), EmbeddedError> {
    let new = dir.path().join("cluster.new");
    let mut first_failure = None;
    for locale in locales(binaries.major) {
        remove_all(&new)?;
        dir.make_for_server(&new)?;
        match initdb(dir, binaries, &new, password_file, locale).await? {
            Ok(()) => {
                fs::rename(&new, dir.cluster())
                    .map_err(EmbeddedError::io("make", &dir.cluster()))?;
                return fs::File::open(dir.path())
                    .and_then(|parent| parent.sync_all())
                    .map_err(EmbeddedError::io("write", dir.path()));
            }
            Err(output) => first_failure = first_failure.or(Some(output)),
        }
    }
    remove_all(&new)?;
    Err(EmbeddedError::InitDb {
        output: first_failure.unwrap_or_default(),
    })
}

/// What to try in order: letters of all languages known and sorted the same on every machine; and
/// where the machine has no such locale, ASCII only.
fn locales(major: u32) -> [&'static [&'static str]; 2] {
    if major >= 17 {
        [
            &["--locale-provider=builtin", "--locale=C.UTF-8"],
            &[
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
        ]
    } else {
        [&["--locale=C.UTF-8"], &["--locale=C"]]
    }
}

async fn initdb(
    dir: &DataDir,
    binaries: &Binaries,
    cluster: &Path,
    password_file: &Path,
    locale: &[&str],
) -> Result<Result<(), String>, EmbeddedError> {
    let program = binaries.initdb();
    let mut command = command(&program, dir.account());
    command
        .arg("-D")
        .arg(cluster)
        .args(["--username", SUPERUSER])
        .args(["--auth", "scram-sha-256", "--encoding", "UTF8"])
        .args(["--data-checksums", "--no-instructions"])
        .arg("--pwfile")
        .arg(password_file)
        .args(locale)
        .stdin(Stdio::null());
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(EmbeddedError::io("run", &program))?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let mut said = output.stdout;
    said.extend(output.stderr);
    Ok(Err(last_lines(&said, 20)))
}

/// The last lines of what a program printed.
pub(crate) fn last_lines(output: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn remove_all(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_clusters_version_or_that_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = dir.path().join("cluster");
        assert_eq!(major(&cluster).unwrap(), None);
        fs::create_dir(&cluster).unwrap();
        assert!(matches!(
            major(&cluster),
            Err(EmbeddedError::Damaged { .. })
        ));
        fs::write(cluster.join("PG_VERSION"), "18\n").unwrap();
        assert_eq!(major(&cluster).unwrap(), Some(18));
        fs::write(cluster.join("PG_VERSION"), "eighteen\n").unwrap();
        assert!(matches!(
            major(&cluster),
            Err(EmbeddedError::Damaged { .. })
        ));
    }

    #[test]
    fn the_last_lines_are_the_last() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines(b"a", 2), "a");
        assert_eq!(last_lines(b"", 2), "");
    }
}
