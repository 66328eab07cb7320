//! The user that the server runs as: PostgreSQL refuses root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use crate::EmbeddedError;

/// Another user that a command is run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Whom to run a server on `cluster` as: `None` is ourselves.
    ///
    /// As root an existing cluster keeps its owner, whatever users have come to this machine since.
    pub(crate) fn for_cluster(cluster: &Path) -> Result<Option<Self>, EmbeddedError> {
        let owner = fs::metadata(cluster).ok();
        let us = rustix::process::geteuid().as_raw();
        match owner {
            Some(owner) if us == 0 && owner.uid() != 0 => Ok(Some(Self {
                name: format!("#{}", owner.uid()),
                uid: owner.uid(),
                gid: owner.gid(),
            })),
            Some(owner) if us != 0 && owner.uid() != us => Err(EmbeddedError::OtherOwner {
                cluster: cluster.to_path_buf(),
                owner: owner.uid(),
            }),
            _ if us == 0 => Self::unprivileged().map(Some),
            _ => Ok(None),
        }
    }

    fn unprivileged() -> Result<Self, EmbeddedError> {
        let path = Path::new("/etc/passwd");
        let passwd = fs::read_to_string(path).map_err(EmbeddedError::io("read", path))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| find(&passwd, name))
            .ok_or(EmbeddedError::NoAccount)
    }
}

/// Gives a path to the server's user, when that is not us.
pub(crate) fn give(path: &Path, account: Option<&Account>) -> Result<(), EmbeddedError> {
    let Some(account) = account else {
        return Ok(());
    };
    chown(path, Some(account.uid), Some(account.gid))
        .map_err(EmbeddedError::io("change the owner of", path))
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_user_of_the_password_file() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n\
                      nobodyelse:x:7:7::/:/bin/false\n\
                      nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        let account = find(passwd, "nobody").unwrap();
        assert_eq!((account.uid, account.gid), (65534, 65533));
        assert_eq!(find(passwd, "postgres"), None);
        assert_eq!(find("nobody:x:0:0::/:", "nobody"), None, "never root again");
        assert_eq!(find("nobody:x:many", "nobody"), None);
    }
}
