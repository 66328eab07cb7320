//! The directory of what must be kept: the embedded database and the master key of a demonstration.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use stoa_domain::Random;
use stoa_domain::seal::{MasterKeyRing, SealError};

const MASTER_KEY_FILE: &str = "master.key";
const POSTGRES: &str = "postgres";
/// The id of the first key; later ones are added by the operator.
const FIRST_KEY_ID: &str = "k1";
/// Some hundred keys; a larger file is something else.
const LONGEST_KEY_FILE: u64 = 16 * 1024;
/// Group and others.
const NOT_THE_OWNER: u32 = 0o077;

/// `STOA_DATA_DIR`.
#[derive(Clone, Debug)]
pub(crate) struct DataDirectory(PathBuf);

/// Why the master key of a data directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterKeyError {
    /// There is none.
    #[error("there is no master key, neither in STOA_MASTER_KEY nor in {}", .0.display())]
    Missing(PathBuf),
    /// Others on this machine may read it.
    #[error("{} may be read by others (mode {mode:o})", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not a key.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The key file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SealError,
    },
    /// It cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// A verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl DataDirectory {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where the embedded PostgreSQL keeps its things.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.0.join(POSTGRES)
    }

    pub(crate) fn master_key_file(&self) -> PathBuf {
        self.0.join(MASTER_KEY_FILE)
    }

    /// The master keys kept here.
    pub(crate) fn master_keys(&self) -> Result<MasterKeyRing, MasterKeyError> {
        let path = self.master_key_file();
        let text = match read_private(&path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(MasterKeyError::Missing(path));
            }
            read => read?,
        };
        MasterKeyRing::parse(&text).map_err(|source| MasterKeyError::Unusable { path, source })
    }

    /// The master keys kept here; made first where there are none. Two processes that do this at
    /// once get the same key.
    pub(crate) fn master_keys_or_new(
        &self,
        random: &Random,
    ) -> Result<MasterKeyRing, MasterKeyError> {
        match self.master_keys() {
            Err(MasterKeyError::Missing(path)) => {
                self.make_master_key(&path, random)?;
                self.master_keys()
            }
            known => known,
        }
    }

    /// Writes a new key beside its place and links it there whole: a crash leaves a complete key or
    /// none, and a key that is there already stays.
    fn make_master_key(&self, path: &Path, random: &Random) -> Result<(), MasterKeyError> {
        let failed = |action: &'static str| {
            let path = path.to_owned();
            move |source| MasterKeyError::Io {
                action,
                path,
                source,
            }
        };
        std::fs::create_dir_all(&self.0).map_err(failed("make the directory of"))?;
        let draft = self.0.join(format!(
            ".{MASTER_KEY_FILE}.{:x}",
            u64::from_le_bytes(random.bytes())
        ));
        let key = MasterKeyRing::generate(FIRST_KEY_ID, random);
        let linked = write_private(&draft, &key)
            .and_then(|()| std::fs::hard_link(&draft, path))
            .and_then(|()| File::open(&self.0)?.sync_all());
        drop(std::fs::remove_file(&draft));
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.map_err(failed("write")),
        }
    }
}

fn write_private(path: &Path, secret: &SecretString) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", secret.expose_secret())?;
    file.sync_all()
}

fn read_private(path: &Path) -> Result<SecretString, MasterKeyError> {
    let failed = |source| MasterKeyError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & NOT_THE_OWNER != 0 {
        return Err(MasterKeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.take(LONGEST_KEY_FILE)
        .read_to_string(&mut text)
        .map_err(failed)?;
    // Keys may stand one a line as well as separated by commas.
    Ok(text.lines().collect::<Vec<_>>().join(",").into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn directory() -> (tempfile::TempDir, DataDirectory) {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::new(folder.path().join("data"));
        (folder, directory)
    }

    #[test]
    fn a_key_is_made_once_for_the_owner_alone() {
        let (_folder, directory) = directory();
        assert!(matches!(
            directory.master_keys(),
            Err(MasterKeyError::Missing(_))
        ));
        assert_eq!(
            directory
                .master_keys_or_new(&Random::system())
                .unwrap()
                .newest_id(),
            "k1"
        );
        let first = std::fs::read(directory.master_key_file()).unwrap();
        directory.master_keys_or_new(&Random::system()).unwrap();
        assert_eq!(std::fs::read(directory.master_key_file()).unwrap(), first);

        let mode = std::fs::metadata(directory.master_key_file())
            .unwrap()
            .mode()
            & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(
            std::fs::read_dir(&directory.0).unwrap().count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn many_at_once_get_one_key() {
        let (_folder, directory) = directory();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| directory.master_keys_or_new(&Random::system()).unwrap());
            }
        });
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 1);
    }

    #[test]
    fn an_exposed_or_broken_key_is_refused() {
        let (_folder, directory) = directory();
        directory.master_keys_or_new(&Random::system()).unwrap();
        let file = directory.master_key_file();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            directory.master_keys(),
            Err(MasterKeyError::Exposed { mode: 0o644, .. })
        ));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "k1:hunter2").unwrap();
        let refused = directory.master_keys().err().unwrap();
        assert!(matches!(refused, MasterKeyError::Unusable { .. }));
        std::fs::write(&file, "").unwrap();
        assert!(matches!(
            directory.master_keys(),
            Err(MasterKeyError::Unusable { .. })
        ));
    }
}
