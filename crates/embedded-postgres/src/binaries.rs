//! Finding PostgreSQL's programs.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::account::Account;
use crate::data_dir::CLUSTER;
use crate::{EmbeddedError, cluster};

/// Where `scripts/fetch-postgres` puts what it fetches, below the project's root.
const FETCHED: &str = ".cache/postgres";

/// The oldest version whose settings and catalogs we use.
const OLDEST_MAJOR: u32 = 14;

/// A PostgreSQL that ran when asked for its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// The directory with `postgres` and `initdb`.
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
}

/// A PostgreSQL that [`EmbeddedPostgres::start`](crate::EmbeddedPostgres::start) would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The directory with `postgres` and `initdb`.
    pub bin: PathBuf,
    /// Its major version.
    pub major: u32,
}

/// The PostgreSQL that would run in this data directory. Starts and writes nothing.
///
/// # Errors
/// When there is none, or only one of another major version than the directory's cluster.
pub fn installed(data_dir: &Path, binaries: Option<&Path>) -> Result<Installed, EmbeddedError> {
    let account = Account::for_cluster(&data_dir.join(CLUSTER))?;
    let Binaries { bin, major } = Binaries::fitting(data_dir, account.as_ref(), binaries)?;
    Ok(Installed { bin, major })
}

impl Binaries {
    /// The PostgreSQL to use, which must be of the version that made the cluster there is.
    pub(crate) fn fitting(
        data_dir: &Path,
        account: Option<&Account>,
        explicit: Option<&Path>,
    ) -> Result<Self, EmbeddedError> {
        let cluster = data_dir.join(CLUSTER);
        let cluster_major = cluster::major(&cluster)?;
        let binaries = Self::find(explicit, cluster_major, account)?;
        match cluster_major {
            Some(cluster_major) if cluster_major != binaries.major => {
                Err(EmbeddedError::OtherMajorVersion {
                    cluster,
                    cluster_major,
                    bin: binaries.bin,
                    binaries_major: binaries.major,
                    data_dir: data_dir.to_path_buf(),
                })
            }
            _ => Ok(binaries),
        }
    }

    /// Finds the PostgreSQL to use: the one the caller named, else the fetched one, else the
    /// system's newest; and of those, one that fits the cluster that there is.
    fn find(
        explicit: Option<&Path>,
        cluster_major: Option<u32>,
        account: Option<&Account>,
    ) -> Result<Self, EmbeddedError> {
        if let Some(dir) = explicit {
            return Self::probe(dir, account)
                .map_err(|reason| EmbeddedError::BadBinaries { reason });
        }
        let mut tried = Vec::new();
        let mut first = None;
        for dir in candidates() {
            match Self::probe(&dir, account) {
                Ok(found) if cluster_major.is_none_or(|major| major == found.major) => {
                    return Ok(found);
                }
                Ok(found) => first = first.or(Some(found)),
                Err(reason) => tried.push(reason),
            }
        }
        first.ok_or(EmbeddedError::NoBinaries { tried })
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    /// The programs in `dir/bin` or `dir`, run once as the server's user: who may be unable to
    /// read them, as they may be unfit for this machine.
    fn probe(dir: &Path, account: Option<&Account>) -> Result<Self, String> {
        let bin = [dir.join("bin"), dir.to_path_buf()]
            .into_iter()
            .find(|bin| bin.join("postgres").is_file())
            .ok_or_else(|| format!("{} has no bin/postgres", dir.display()))?;
        // Not the link: some distributions put one for `postgres` where `initdb` is not.
        let postgres = fs::canonicalize(bin.join("postgres"))
            .map_err(|error| format!("{}: {error}", bin.display()))?;
        let bin = postgres.parent().unwrap_or(&bin).to_path_buf();
        if !bin.join("initdb").is_file() {
            return Err(format!("{} has no initdb", bin.display()));
        }
        let output = command(&postgres, account)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                format!(
                    "{} cannot be run{}: {error}",
                    postgres.display(),
                    account.map_or_else(String::new, |user| format!(" as {}", user.name))
                )
            })?;
        let major = parse_major(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
            format!(
                "{} does not say its version: {}",
                postgres.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            )
        })?;
        if major < OLDEST_MAJOR {
            return Err(format!("{} is version {major}", postgres.display()));
        }
        Ok(Self { bin, major })
    }
}

/// A command with an environment of its own (never `PGPASSWORD`, `PGDATA` or `LD_PRELOAD` of ours),
/// run as the server's user.
pub(crate) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir("/");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

fn candidates() -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(here) = env::current_dir() {
        found.push(here.join(FETCHED));
    }
    if let Ok(executable) = env::current_exe() {
        found.extend(executable.ancestors().skip(1).map(|dir| dir.join(FETCHED)));
    }
    found.extend(versioned_dirs("/usr/lib/postgresql", ""));
    found.extend(versioned_dirs("/usr", "pgsql-"));
    if let Some(path) = env::var_os("PATH") {
        found.extend(env::split_paths(&path));
    }
    found.retain(|dir| dir.join("bin/postgres").is_file() || dir.join("postgres").is_file());
    found.dedup();
    found
}

/// The directories of `parent` named `prefix` and a number, the greatest number first.
fn versioned_dirs(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let mut dirs: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse();
            Some((number.ok()?, entry.path()))
        })
        .collect();
    dirs.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    dirs.into_iter().map(|(_, dir)| dir).collect()
}

/// The major version of `postgres (PostgreSQL) 15.18 (Debian …)`, `… 19beta1`.
fn parse_major(version_line: &str) -> Option<u32> {
    let version = version_line.trim().split_once("(PostgreSQL)")?.1.trim();
    let digits = version.find(|c: char| !c.is_ascii_digit());
    version[..digits.unwrap_or(version.len())].parse().ok()
}

/// Whether a `setpriv` is here that makes a program end with its parent, and the program still runs.
pub(crate) fn has_setpriv(postgres: &Path, account: Option<&Account>) -> bool {
    command(OsStr::new("setpriv").as_ref(), account)
        .args(["--pdeathsig", "INT"])
        .arg(postgres)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version_of_what_postgres_prints() {
        for (line, major) in [
            ("postgres (PostgreSQL) 18.6\n", Some(18)),
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres (PostgreSQL) devel", None),
            ("mysqld 8.0", None),
            ("", None),
        ] {
            assert_eq!(parse_major(line), major, "{line}");
        }
    }

    #[test]
    fn the_newest_of_the_systems_versions_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9", "15", "18", "common"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let names: Vec<String> = versioned_dirs(dir.path().to_str().unwrap(), "")
            .iter()
            .map(|dir| dir.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["18", "15", "9"]);
        assert!(versioned_dirs("/nonexistent", "").is_empty());
    }

    #[test]
    fn a_named_directory_without_postgres_is_refused_by_name() {
        let error = Binaries::find(Some(Path::new("/nonexistent")), None, None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("/nonexistent has no bin/postgres"),
            "{error}"
        );
    }
}
