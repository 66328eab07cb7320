//! Values judged one by one: what is wrong with one is said without showing it when it may hold a
//! secret.

use std::net::IpAddr;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::environment::Environment;
use super::{ConfigurationError, Malformed};

/// Takes values from the environment and gathers what is wrong with them, so that one start tells
/// all of it.
pub(super) struct Values<'a> {
    environment: &'a Environment,
    malformed: Vec<Malformed>,
    taken: Vec<&'static str>,
}

impl<'a> Values<'a> {
    pub(super) fn of(environment: &'a Environment) -> Self {
        Self {
            environment,
            malformed: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// The value of a name as `parse` understands it; `None` when it is unset or wrong.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.taken.push(name);
        match parse(self.environment.get(name)?) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.malformed.push(Malformed {
                    name: name.to_owned(),
                    wrong,
                });
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.parsed(name, boolean).unwrap_or(default)
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.parsed(name, |text| Ok(text.to_owned()))
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.parsed(name, |text| Ok(text.to_owned().into()))
    }

    /// Complains about a name whose value is wrong only beside another's.
    pub(super) fn complain(&mut self, name: &str, wrong: &str) {
        self.malformed.push(Malformed {
            name: name.to_owned(),
            wrong: wrong.to_owned(),
        });
    }

    /// Everything taken, or all that is wrong.
    pub(super) fn finish(self) -> Result<Vec<&'static str>, ConfigurationError> {
        if self.malformed.is_empty() {
            Ok(self.taken)
        } else {
            Err(ConfigurationError(self.malformed))
        }
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("is `true` or `false`, not `{text}`")),
    }
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("is a port number from 0 (any free one) to 65535, not `{text}`"))
}

/// What to listen on: an address, with or without the brackets of IPv6, or a name.
pub(super) fn host(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(text);
    let is_name = bare
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    if bare.parse::<IpAddr>().is_ok() || is_name {
        Ok(bare.to_owned())
    } else {
        Err(format!(
            "is an address or a host name without scheme and port, such as `127.0.0.1`, `0.0.0.0` or `::`, not `{text}`"
        ))
    }
}

/// An origin that people open: scheme, host and port, nothing after.
pub(super) fn origin(text: &str) -> Result<Url, String> {
    let wrong = "is an address such as `https://chat.example.com`, with http or https and without user, path or query";
    let url = Url::parse(text).map_err(|_| wrong.to_owned())?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if is_origin {
        Ok(url)
    } else {
        Err(wrong.to_owned())
    }
}

/// An address with http or https that may have a path.
pub(super) fn http_address(text: &str) -> Result<Url, String> {
    let wrong = "is an address with http or https, such as `https://abc.supabase.co`";
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| wrong.to_owned())
}

/// A PostgreSQL address with a password in it, so nothing of it is repeated.
pub(super) fn postgres_address(text: &str) -> Result<SecretString, String> {
    let form = "is a PostgreSQL address such as `postgres://USER:PASSWORD@HOST:5432/DATABASE`";
    let url = Url::parse(text).map_err(|_| {
        format!(
            "{form}; characters such as `@`, `/`, `#` or `%` in the password are percent-encoded"
        )
    })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(form.to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) && !url.query_pairs().any(|(key, _)| key == "host")
    {
        return Err(format!("{form}; the host is missing"));
    }
    if url.path().trim_start_matches('/').is_empty() {
        return Err(format!("{form}; the database's name is missing"));
    }
    Ok(text.to_owned().into())
}

/// An address of one of these schemes, which may hold a password.
pub(super) fn secret_address(
    schemes: &'static [&'static str],
    example: &'static str,
) -> impl FnOnce(&str) -> Result<SecretString, String> {
    move |text| {
        Url::parse(text)
            .ok()
            .filter(|url| schemes.contains(&url.scheme()) && url.has_host())
            .map(|_| text.to_owned().into())
            .ok_or_else(|| format!("is an address such as `{example}`"))
    }
}

/// Comma-separated networks; a bare address is the network of itself.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from)).map_err(
                |_| {
                    format!(
                        "is a list of networks such as `10.0.0.0/8, 192.168.1.7, fd00::/8`; `{entry}` is none"
                    )
                },
            )
        })
        .collect()
}

pub(super) fn mail_address(text: &str) -> Result<String, String> {
    // `Shop <bot@example.com>` is allowed: only the part that must be there is looked at.
    let address = text
        .rsplit_once('<')
        .map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    match address.split_once('@') {
        Some((user, host)) if !user.is_empty() && host.contains('.') => Ok(text.to_owned()),
        _ => Err(format!(
            "is a mail address such as `Stoa <bot@example.com>`, not `{text}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names_alone() {
        assert_eq!(host("[::1]").unwrap(), "::1");
        assert_eq!(host("localhost").unwrap(), "localhost");
        for wrong in ["http://localhost", "localhost:80", "a b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_have_nothing_behind_the_port() {
        assert!(origin("https://chat.example.com").is_ok());
        assert!(origin("http://127.0.0.1:8080/").is_ok());
        for wrong in [
            "chat.example.com",
            "ftp://a",
            "https://a/path",
            "https://u@a",
            "https://a/?q",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_are_read_with_and_without_a_prefix() {
        let read = networks("10.0.0.0/8, 192.168.1.7,,fd00::/8").unwrap();
        assert_eq!(read.len(), 3);
        assert!(networks("10.0.0.0/40").unwrap_err().contains("10.0.0.0/40"));
    }

    #[test]
    fn mail_addresses_may_have_a_name() {
        assert!(mail_address("Stoa <bot@example.com>").is_ok());
        assert!(mail_address("bot@example.com").is_ok());
        assert!(mail_address("bot").is_err());
    }
}
