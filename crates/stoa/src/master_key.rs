//! The master keys of this run: configured, or kept in the data directory.

use stoa_domain::Random;
use stoa_domain::seal::MasterKeyRing;

use crate::command_line::failure::Failure;
use crate::configuration::Configuration;
use crate::data_directory::{DataDirectory, MasterKeyError};

/// Takes the master keys out of the configuration, or reads those of the data directory.
pub(crate) fn of(configuration: &mut Configuration) -> Result<MasterKeyRing, Failure> {
    match configuration.master_keys.take() {
        Some(keys) => Ok(keys),
        None => DataDirectory::new(&configuration.data_directory)
            .master_keys()
            .map_err(|error| failure(&error)),
    }
}

/// Like [`of`], and makes a key in the data directory where there is none.
pub(crate) fn of_or_new(
    configuration: &mut Configuration,
    random: &Random,
) -> Result<MasterKeyRing, Failure> {
    match configuration.master_keys.take() {
        Some(keys) => Ok(keys),
        None => DataDirectory::new(&configuration.data_directory)
            .master_keys_or_new(random)
            .map_err(|error| failure(&error)),
    }
}

fn failure(error: &MasterKeyError) -> Failure {
    let code = match error {
        MasterKeyError::Missing(_) => "no_master_key",
        _ => "bad_master_key",
    };
    Failure::from_error(code, error).hint(remedy(error))
}

/// What to do when the master key cannot be had.
pub(crate) fn remedy(error: &MasterKeyError) -> String {
    match error {
        MasterKeyError::Missing(_) => {
            "make one with `echo \"STOA_MASTER_KEY=k1:$(openssl rand -base64 32)\" >> .env` and keep a copy of it in a safe place: without it nothing that was sealed can be opened".to_owned()
        }
        MasterKeyError::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
        MasterKeyError::Unusable { path, .. } => {
            format!("put the right key back into {}, or set STOA_MASTER_KEY", path.display())
        }
        MasterKeyError::Io { path, .. } => {
            format!("look at the permissions of {} and at the space on its disk", path.display())
        }
    }
}
