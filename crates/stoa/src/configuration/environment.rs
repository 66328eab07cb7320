//! Where the names come from: the process's environment, then the file `.env` of the directory
//! that Stoa was started in.
//!
//! The file is read by a few lines of ours rather than by a crate, because the usual ones expand
//! `$NAME` inside values, and generated passwords and keys contain dollar signs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::ConfigurationError;
use super::names::is_ours;

/// The file beside the process that is read besides the environment.
pub(crate) const ENV_FILE: &str = ".env";

/// Names and values as found, before any is judged. An empty value counts as none.
#[derive(Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the process's environment and [`ENV_FILE`]; where both have a name, the real
    /// environment wins.
    pub(crate) fn read() -> Result<Self, ConfigurationError> {
        let mut environment = Self::from_file(Path::new(ENV_FILE))?;
        environment.overlay(std::env::vars_os())?;
        Ok(environment)
    }

    #[cfg(test)]
    pub(crate) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// The value of a name, unless it is unset or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn from_file(path: &Path) -> Result<Self, ConfigurationError> {
        match std::fs::read_to_string(path) {
            Ok(text) => parse_env_file(&text).map(Self),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigurationError::one(
                ENV_FILE,
                format!("cannot be read: {error}"),
            )),
        }
    }

    fn overlay(
        &mut self,
        process: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigurationError> {
        for (name, value) in process {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(self.0.insert(name, value)),
                Err(_) if is_ours(&name) => {
                    return Err(ConfigurationError::one(&name, "is not UTF-8"));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Lines of `NAME=value`, `export NAME=value`, blank ones and `# comments`. A value may stand in
/// single quotes (as it is) or double quotes (with `\n`, `\"`, `\\` and `\$`); unquoted it ends
/// before ` #`. Nothing is expanded.
fn parse_env_file(text: &str) -> Result<BTreeMap<String, String>, ConfigurationError> {
    let mut values = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || {
            ConfigurationError::one(
                ENV_FILE,
                format!("line {number} is not NAME=value; put a value with spaces in quotes"),
            )
        };
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        let name = name.trim_end();
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(wrong());
        }
        let value = parse_value(value.trim_start()).ok_or_else(wrong)?;
        values.insert(name.to_owned(), value);
    }
    Ok(values)
}

fn parse_value(text: &str) -> Option<String> {
    let (value, rest) = match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'')?;
            (value.to_owned(), rest)
        }
        Some('"') => double_quoted(&text[1..])?,
        _ => {
            let end = text.find(" #").unwrap_or(text.len());
            (text[..end].trim_end().to_owned(), "")
        }
    };
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(value)
}

fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_without_expanding_anything() {
        let text = "
# how this server is set up
PORT=9000
export HOST = 0.0.0.0   # everywhere
STOA_MASTER_KEY='k1:abc $HOME'
SMTP_URL=\"smtp://u:p\\\"$w@mail\" # a comment
EMPTY=
HASH=a#b
URL=postgres://u:p@h/db?sslmode=require
";
        let values = parse_env_file(text).unwrap();
        assert_eq!(values["PORT"], "9000");
        assert_eq!(values["HOST"], "0.0.0.0");
        assert_eq!(values["STOA_MASTER_KEY"], "k1:abc $HOME");
        assert_eq!(values["SMTP_URL"], "smtp://u:p\"$w@mail");
        assert_eq!(values["EMPTY"], "");
        assert_eq!(values["HASH"], "a#b");
        assert_eq!(values["URL"], "postgres://u:p@h/db?sslmode=require");
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_not_shown() {
        for wrong in ["PORT", "A=1\nB='open", "2X=1", "A=\"x\" y", "A B=1"] {
            let refused = parse_env_file(&format!("OK=1\n{wrong}-secret")).unwrap_err();
            let said = refused.to_string();
            assert!(said.contains(".env") && said.contains("line "), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn the_real_environment_wins_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "PORT=1\nHOST=a\n").unwrap();
        let mut environment = Environment::from_file(&file).unwrap();
        environment
            .overlay([("PORT".into(), "2".into())].into_iter())
            .unwrap();
        assert_eq!(environment.get("PORT"), Some("2"));
        assert_eq!(environment.get("HOST"), Some("a"));

        let missing = Environment::from_file(&folder.path().join("none")).unwrap();
        assert_eq!(missing.names().count(), 0);
    }
}
