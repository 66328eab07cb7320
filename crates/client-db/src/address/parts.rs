//! Taking an address apart.

use percent_encoding::percent_decode_str;

use super::{AddressError, host::host_and_port, keywords, parameters::Parameters};

/// The longest text that is looked at.
const LONGEST_ADDRESS: usize = 2_048;
/// The longest name of a role or database that PostgreSQL keeps.
const LONGEST_NAME: usize = 63;

/// The pieces of an address. Written by hand: the general parsers let a query string override the
/// host, take sockets and lists of hosts, or fill gaps from the environment.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    pub(super) parameters: Parameters,
}

impl Parts {
    /// Takes a URL or libpq's `host=… user=…` apart.
    pub(super) fn split(text: &str) -> Result<Self, AddressError> {
        let text = unwrapped(text);
        if text.len() > LONGEST_ADDRESS {
            return Err(AddressError::Characters);
        }
        match without_scheme(text) {
            Some(rest) => Self::of_url(rest),
            None if keywords::looks_like_keywords(text) => keywords::split(text),
            None => Err(AddressError::Form),
        }
    }

    /// What stands behind `postgres://`.
    fn of_url(rest: &str) -> Result<Self, AddressError> {
        if rest.chars().any(char::is_control) {
            return Err(AddressError::Characters);
        }
        // Where the authority ends by the rules of URLs, if what follows is a database.
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let by_the_rules = Places::at(rest, rest[..end].rfind('@'));
        if let Ok(places) = &by_the_rules
            && places.are_sound()
        {
            return places.read();
        }
        // People paste passwords that hold an unescaped `@`, `/`, `?` or `#`: the host is then
        // behind the last `@` that has a host and a database behind it.
        let mut ats: Vec<usize> = rest.match_indices('@').map(|(at, _)| at).collect();
        while let Some(at) = ats.pop() {
            if let Ok(places) = Places::at(rest, Some(at))
                && places.are_sound()
            {
                return places.read();
            }
        }
        by_the_rules?.read()
    }
}

/// Where the pieces of a URL are.
struct Places<'a> {
    user: &'a str,
    password: Option<&'a str>,
    host: &'a str,
    database: &'a str,
    query: &'a str,
}

impl<'a> Places<'a> {
    /// Cuts the text, with the host behind the `@` at this position.
    fn at(rest: &'a str, at: Option<usize>) -> Result<Self, AddressError> {
        let at = at.ok_or(AddressError::NoUser)?;
        let (credentials, rest) = (&rest[..at], &rest[at + 1..]);
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            user,
            password,
            host,
            database,
            query,
        })
    }

    /// Whether host, database and parameters can be what they are taken for.
    fn are_sound(&self) -> bool {
        let is_database = !self.database.is_empty() && !self.database.contains(['/', '@', '?']);
        let is_key = |pair: &str| {
            let key = pair.split_once('=').map_or(pair, |(key, _)| key);
            !key.contains(['@', '/', ':', '#', '?'])
        };
        is_database && self.query.split('&').all(is_key) && host_and_port(self.host).is_ok()
    }

    fn read(&self) -> Result<Parts, AddressError> {
        let user = name(self.user)?.ok_or(AddressError::NoUser)?;
        let (host, port) = host_and_port(self.host)?;
        let database = name(self.database)?.ok_or(AddressError::NoDatabase)?;
        let password = self.password.filter(|it| !it.is_empty());
        Ok(Parts {
            host,
            port,
            user,
            password: password.map(secret).transpose()?,
            database,
            parameters: Parameters::of_query(self.query)?,
        })
    }
}

/// The address in what people copy along with it: quotes, `psql`, `DATABASE_URL=`.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    if let Some((before, after)) = text.split_once('=')
        && !before.is_empty()
        && before
            .bytes()
            .all(|it| it.is_ascii_uppercase() || it == b'_')
    {
        text = after.trim();
    }
    text = text.strip_prefix("psql ").unwrap_or(text).trim();
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|it| it.strip_suffix(quote))
        {
            return inner.trim();
        }
    }
    text
}

/// What stands behind the scheme, which some programs extend by the name of a driver.
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let base = scheme.split_once('+').map_or(scheme, |(base, _)| base);
    let is_ours = ["postgres", "postgresql"]
        .iter()
        .any(|it| base.eq_ignore_ascii_case(it));
    is_ours.then_some(rest)
}

/// A role or a database; `None` where it is empty.
pub(super) fn name(text: &str) -> Result<Option<String>, AddressError> {
    if text.contains(['\\', '#']) || text.contains(char::is_whitespace) {
        return Err(AddressError::Characters);
    }
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| AddressError::Characters)?;
    sound_name(&text)
}

/// A role or a database that is not escaped.
pub(super) fn sound_name(text: &str) -> Result<Option<String>, AddressError> {
    if text.len() > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(AddressError::Characters);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A password. One that is not escaped is forgiven where it can only be meant as it stands.
fn secret(text: &str) -> Result<String, AddressError> {
    let text = match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => text.to_owned(),
    };
    if text.chars().any(char::is_control) {
        return Err(AddressError::Characters);
    }
    Ok(text)
}
