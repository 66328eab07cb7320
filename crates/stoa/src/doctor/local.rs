//! Checks that need nothing but this machine.

use rustix::fs::{Access, access};
use stoa_domain::seal::MasterKeyRing;

use super::report::Check;
use crate::command_line::failure::{Failure, with_causes};
use crate::configuration::Configuration;
use crate::data_directory::DataDirectory;
use crate::master_key;

const CONFIGURATION: &str = "configuration";
const DATA_DIRECTORY: &str = "data_directory";
const MASTER_KEY: &str = "master_key";
const MAIL: &str = "mail";

pub(super) fn malformed_configuration(failure: &Failure) -> Check {
    Check::fail(
        CONFIGURATION,
        failure.message(),
        "correct these names in the environment or in .env",
    )
}

pub(super) fn configuration(configuration: &Configuration) -> Vec<Check> {
    if configuration.warnings.is_empty() {
        return vec![Check::pass(
            CONFIGURATION,
            "every name is known and every value can be used",
        )];
    }
    configuration
        .warnings
        .iter()
        .map(|warning| Check::warn(CONFIGURATION, warning.to_string(), "correct or unset it"))
        .collect()
}

/// Whether what must be kept can be kept.
pub(super) fn data_directory(configuration: &Configuration) -> Check {
    let path = configuration.data_directory.as_path();
    let shown = path.display();
    if path.is_dir() {
        return match access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Check::pass(DATA_DIRECTORY, format!("{shown} can be written")),
            Err(error) => Check::fail(
                DATA_DIRECTORY,
                format!("{shown} cannot be written: {error}"),
                format!("give {shown} to the user that runs stoa, or set STOA_DATA_DIR to another"),
            ),
        };
    }
    if path.exists() {
        return Check::fail(
            DATA_DIRECTORY,
            format!("{shown} is not a directory"),
            "set STOA_DATA_DIR to a directory",
        );
    }
    Check::pass(
        DATA_DIRECTORY,
        format!("{shown} does not exist yet and is made when needed"),
    )
}

/// Whether there is a master key; takes it out of the configuration.
pub(super) fn master_key(configuration: &mut Configuration) -> (Check, Option<MasterKeyRing>) {
    let directory = DataDirectory::new(&configuration.data_directory);
    let (keys, from) = match configuration.master_keys.take() {
        Some(keys) => (Ok(keys), "STOA_MASTER_KEY".to_owned()),
        None => (
            directory.master_keys(),
            directory.master_key_file().display().to_string(),
        ),
    };
    match keys {
        Ok(keys) => {
            let detail = format!("{from} is good; its newest key is `{}`", keys.newest_id());
            (Check::pass(MASTER_KEY, detail), Some(keys))
        }
        Err(error) => (
            Check::fail(MASTER_KEY, with_causes(&error), master_key::remedy(&error)),
            None,
        ),
    }
}

pub(super) fn mail(configuration: &Configuration) -> Check {
    if configuration.mail_is_configured {
        Check::pass(MAIL, "SMTP_URL and MAIL_FROM are set")
    } else {
        Check::pass(
            MAIL,
            "no SMTP_URL: links are shown to the admin who caused them",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Environment;

    fn configured(folder: &std::path::Path) -> Configuration {
        let path = folder.display().to_string();
        Configuration::parse(&Environment::of([("STOA_DATA_DIR", &path)])).unwrap()
    }

    #[test]
    fn a_missing_master_key_is_a_failure_that_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let (check, keys) = master_key(&mut configured(folder.path()));
        assert!(check.failed() && keys.is_none());

        let random = stoa_domain::Random::system();
        DataDirectory::new(folder.path())
            .master_keys_or_new(&random)
            .unwrap();
        let (check, keys) = master_key(&mut configured(folder.path()));
        assert!(!check.failed() && keys.is_some());
    }

    #[test]
    fn a_file_in_the_place_of_the_data_directory_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert!(!data_directory(&configured(&file)).failed());
        std::fs::write(&file, "").unwrap();
        assert!(data_directory(&configured(&file)).failed());
    }
}
