//! Taking an address apart.

use percent_encoding::percent_decode_str;

use super::AddressError;

/// The longest text that is looked at.
const LONGEST_ADDRESS: usize = 2_048;
/// The longest name of a role or database that PostgreSQL keeps.
const LONGEST_NAME: usize = 63;

/// What an address says of TLS, sorted by how much of it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum SslMode {
    Disable,
    Prefer,
    Require,
}

/// The pieces of an address. Written by hand: the general parsers let a query string override the
/// host, take sockets and lists of hosts, or fill gaps from the environment.
pub(super) struct Parts {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) database: String,
    pub(super) ssl_mode: Option<SslMode>,
}

impl Parts {
    pub(super) fn split(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.len() > LONGEST_ADDRESS
            || text
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '#'))
        {
            return Err(AddressError::Characters);
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or(AddressError::Form)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        // People paste passwords that hold an unescaped `@`: the host is behind the last one.
        let (credentials, host) = authority.rsplit_once('@').ok_or(AddressError::NoUser)?;
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        let user = name(user)?.ok_or(AddressError::NoUser)?;
        let database = name(database)?.ok_or(AddressError::NoDatabase)?;
        let password = password
            .filter(|it| !it.is_empty())
            .map(decoded)
            .transpose()?;
        let (host, port) = host_and_port(host)?;
        let ssl_mode = parameters(query)?;
        Ok(Self {
            host,
            port,
            user,
            password,
            database,
            ssl_mode,
        })
    }
}

fn name(text: &str) -> Result<Option<String>, AddressError> {
    let text = decoded(text)?;
    if text.len() > LONGEST_NAME {
        return Err(AddressError::Characters);
    }
    Ok((!text.is_empty()).then_some(text))
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| AddressError::Characters)?;
    if text.chars().any(char::is_control) {
        return Err(AddressError::Characters);
    }
    Ok(text.into_owned())
}

fn host_and_port(text: &str) -> Result<(String, u16), AddressError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(AddressError::Host)?;
            let address: std::net::Ipv6Addr = host.parse().map_err(|_| AddressError::Host)?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(AddressError::Host)?),
            };
            (address.to_string(), port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let is_name = !host.is_empty()
                && host.len() <= 253
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
            if !is_name {
                return Err(AddressError::Host);
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let port = match port {
        None | Some("") => 5432,
        Some(port) if port.chars().all(|c| c.is_ascii_digit()) => port
            .parse()
            .ok()
            .filter(|it| *it > 0)
            .ok_or(AddressError::Port)?,
        // `host1,host2` and `host:1,host:2` end up here or above.
        Some(port) if port.contains(',') => return Err(AddressError::Host),
        Some(_) => return Err(AddressError::Port),
    };
    Ok((host, port))
}

/// Reads the query string; only `sslmode` means anything, a few harmless ones are passed over.
fn parameters(query: &str) -> Result<Option<SslMode>, AddressError> {
    let mut ssl_mode = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "sslmode" => {
                ssl_mode = Some(match value {
                    "disable" => SslMode::Disable,
                    "allow" | "prefer" => SslMode::Prefer,
                    "require" | "verify-ca" | "verify-full" => SslMode::Require,
                    _ => return Err(AddressError::SslMode),
                });
            }
            // Ours are used instead; pooler hints that consoles put into what people copy.
            "application_name" | "connect_timeout" | "pgbouncer" | "supa" => {}
            // Channel binding is used wherever it is offered.
            "channel_binding" if matches!(value, "prefer" | "require") => {}
            key => {
                let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                return Err(AddressError::Parameter(
                    key.chars().filter(plain).take(40).collect(),
                ));
            }
        }
    }
    Ok(ssl_mode)
}
