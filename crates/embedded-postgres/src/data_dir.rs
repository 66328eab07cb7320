//! The data directory: made where the server can reach it, and held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use stoa_domain::Random;

use crate::EmbeddedError;
use crate::account::{Account, give};

pub(crate) const CLUSTER: &str = "cluster";
pub(crate) const PASSWORD_FILE: &str = "superuser-password";
pub(crate) const PORT_FILE: &str = "port";

/// Where root keeps data whose own place the server's user cannot reach.
const RELOCATED: &str = "/var/lib/stoa";

/// The longest path of a directory in which PostgreSQL can make a socket.
const LONGEST_SOCKET_DIR: usize = 107 - "/.s.PGSQL.65535".len();

/// A data directory that this process holds.
#[derive(Debug)]
pub(crate) struct DataDir {
    base: PathBuf,
    account: Option<Account>,
    /// Its lock ends with this value, or with the process, however that ends.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if need be and takes it for this process.
    pub(crate) fn hold(path: &Path, random: &Random) -> Result<Self, EmbeddedError> {
        let account = Account::for_cluster(&path.join(CLUSTER))?;
        let base = make_base(path, account.as_ref(), random)?;
        let lock = lock(&base)?;
        Ok(Self {
            base,
            account,
            _lock: lock,
        })
    }

    /// The directory itself, absolute and without links.
    pub(crate) fn path(&self) -> &Path {
        &self.base
    }

    /// Whom the server runs as, when that is not us.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.base.join(CLUSTER)
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.base.join(PASSWORD_FILE)
    }

    pub(crate) fn port_file(&self) -> PathBuf {
        self.base.join(PORT_FILE)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.base.join("server.log")
    }

    /// The directory for the Unix socket; `None` where its path is too long for one.
    pub(crate) fn socket_dir(&self) -> Result<Option<PathBuf>, EmbeddedError> {
        let dir = self.base.join("socket");
        if dir.as_os_str().len() > LONGEST_SOCKET_DIR {
            return Ok(None);
        }
        self.make_for_server(&dir)?;
        Ok(Some(dir))
    }

    /// Makes a directory for the server alone, or makes sure that an existing one is.
    pub(crate) fn make_for_server(&self, dir: &Path) -> Result<(), EmbeddedError> {
        make_dir(dir, 0o700)?;
        give(dir, self.account())
    }
}

/// Writes a file that only the owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<(), EmbeddedError> {
    let new = path.with_extension("new");
    let write = || {
        if let Err(error) = fs::remove_file(&new)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(EmbeddedError::io("write", path))
}

fn make_base(
    path: &Path,
    account: Option<&Account>,
    random: &Random,
) -> Result<PathBuf, EmbeddedError> {
    let absolute = std::path::absolute(path).map_err(EmbeddedError::io("find", path))?;
    let parent = absolute.parent().unwrap_or(Path::new("/"));
    // Others may pass through what is made here, where a user other than us has to.
    let mode = if account.is_some() { 0o711 } else { 0o700 };
    if !parent.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(parent)
            .map_err(EmbeddedError::io("make", parent))?;
    }
    if let Some(account) = account {
        let real = fs::canonicalize(&absolute).or_else(|_| fs::canonicalize(parent));
        let real = real.map_err(EmbeddedError::io("find", &absolute))?;
        let above = if absolute.exists() {
            real.parent()
        } else {
            Some(real.as_path())
        };
        if !above.is_none_or(|above| can_pass(above, account)) {
            relocate(&absolute, account, random)?;
        }
    }
    make_dir(&absolute, mode)?;
    fs::canonicalize(&absolute).map_err(EmbeddedError::io("find", &absolute))
}

/// Makes `path` a link to a new directory that the server's user can reach.
fn relocate(path: &Path, account: &Account, random: &Random) -> Result<(), EmbeddedError> {
    match fs::remove_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => {
            return Err(EmbeddedError::Unreachable {
                data_dir: path.to_path_buf(),
                account: account.name.clone(),
            });
        }
    }
    let target = Path::new(RELOCATED).join(format!("{:016x}", u64::from_ne_bytes(random.bytes())));
    make_dir(Path::new(RELOCATED), 0o711)?;
    make_dir(&target, 0o711)?;
    symlink(&target, path).map_err(EmbeddedError::io("make", path))?;
    tracing::info!(
        data_dir = %path.display(), target = %target.display(), user = account.name,
        "the user that PostgreSQL runs as cannot reach the data directory; it is now a link",
    );
    Ok(())
}

fn make_dir(path: &Path, mode: u32) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(EmbeddedError::io("make", path)(error));
        }
        _ => {}
    }
    // Whatever the umask took away, or an earlier owner left open.
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(EmbeddedError::io("set the permissions of", path))
}

/// Whether this user may pass through a directory and all above it, by the permission bits.
fn can_pass(dir: &Path, account: &Account) -> bool {
    dir.ancestors().all(|dir| {
        fs::metadata(dir).is_ok_and(|meta| {
            let bit = if meta.uid() == account.uid {
                0o100
            } else if meta.gid() == account.gid {
                0o010
            } else {
                0o001
            };
            meta.mode() & bit != 0
        })
    })
}

fn lock(base: &Path) -> Result<File, EmbeddedError> {
    let path = base.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(EmbeddedError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Without a readable id the refusal only says less.
            let _ = file.read_to_string(&mut holder);
            return Err(EmbeddedError::InUse {
                data_dir: base.to_path_buf(),
                pid: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(EmbeddedError::io("lock", &path)(error)),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(EmbeddedError::io("write", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let refused = lock(dir.path()).unwrap_err();
        assert!(
            matches!(refused, EmbeddedError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        drop(first);
        lock(dir.path()).unwrap();
    }

    #[test]
    fn private_files_are_private_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_private(&path, "one").unwrap();
        write_private(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_closed_directory_lets_only_its_owner_pass() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let meta = fs::metadata(dir.path()).unwrap();
        let owner = Account {
            name: "owner".into(),
            uid: meta.uid(),
            gid: meta.gid(),
        };
        let other = Account {
            name: "other".into(),
            uid: 54_321,
            gid: 54_321,
        };
        assert!(can_pass(dir.path(), &owner) || meta.uid() != 0);
        assert!(!can_pass(dir.path(), &other));
    }
}
