//! The parameters of an address: few mean something, some are harmless, the rest is refused with
//! what to do instead.

use super::AddressError;

/// What an address says of TLS, sorted by how much of it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Prefer,
    Require,
}

/// What the parameters of an address mean.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) ssl_mode: Option<SslMode>,
    /// Whether a sign-in without channel binding is to be refused.
    pub(super) binding_required: bool,
    seen: Vec<String>,
}

/// Where a server may be told to be of another kind than the primary.
const PRIMARY: AddressError = AddressError::Instead {
    parameter: "target_session_attrs",
    remedy: "Use the address of the primary server and leave target_session_attrs out: \
             conversations are written.",
};
const OPTIONS: AddressError = AddressError::Instead {
    parameter: "options",
    remedy: "Leave options out. A setting that the role needs is kept in the database: \
             ALTER ROLE … SET …",
};
const ENDPOINT: AddressError = AddressError::Instead {
    parameter: "options",
    remedy: "Leave options=endpoint=… out: Neon learns the endpoint from the host's name, which \
             TLS tells it.",
};
const PROJECT: AddressError = AddressError::Instead {
    parameter: "options",
    remedy: "Leave options=… out and put the project's reference behind the user, with a dot \
             between: postgres.PROJECT-REF.",
};
const AUTHORITY: AddressError = AddressError::Instead {
    parameter: "sslrootcert",
    remedy: "Leave sslrootcert out and give the certificate itself, as PEM text, in ca_certificate \
             beside the address (--database-ca FILE on the command line).",
};
const CLIENT_CERTIFICATE: AddressError = AddressError::Instead {
    parameter: "sslcert",
    remedy: "Leave sslcert and sslkey out: sign-in is by password, with TLS around it.",
};
const GSSAPI: AddressError = AddressError::Instead {
    parameter: "gssencmode",
    remedy: "Leave gssencmode out: the connection is encrypted by TLS.",
};

impl Parameters {
    /// Reads `key=value&key=value`.
    pub(super) fn of_query(query: &str) -> Result<Self, AddressError> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            parameters.take(key, &value)?;
        }
        Ok(parameters)
    }

    /// Takes one, or says why not.
    pub(super) fn take(&mut self, key: &str, value: &str) -> Result<(), AddressError> {
        if self.seen.iter().any(|it| it == key) {
            return Err(AddressError::Repeated(shown(key)));
        }
        self.seen.push(key.to_owned());
        match key {
            "sslmode" => self.ssl_mode = Some(ssl_mode(value)?),
            "channel_binding" => match value {
                "require" => self.binding_required = true,
                // It is used wherever it is offered.
                "prefer" | "disable" => {}
                _ => return Err(AddressError::Parameter(key.into())),
            },
            "target_session_attrs" => match value {
                "any" | "read-write" | "primary" => {}
                _ => return Err(PRIMARY),
            },
            "gssencmode" if matches!(value, "disable" | "prefer") => {}
            "gssencmode" => return Err(GSSAPI),
            "sslrootcert" if value == "system" => {}
            "sslrootcert" => return Err(AUTHORITY),
            "sslcert" | "sslkey" | "sslpassword" => return Err(CLIENT_CERTIFICATE),
            "options" => return Err(options(value)),
            _ if is_harmless(key, value) => {}
            _ => return Err(AddressError::Parameter(shown(key))),
        }
        Ok(())
    }
}

fn ssl_mode(value: &str) -> Result<SslMode, AddressError> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "allow" | "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        _ => Err(AddressError::SslMode),
    }
}

/// Providers use it to say which database is meant.
fn options(value: &str) -> AddressError {
    match value.trim_start() {
        it if it.starts_with("endpoint") => ENDPOINT,
        it if it.starts_with("project") || it.starts_with("reference") => PROJECT,
        _ => OPTIONS,
    }
}

/// What is ours to decide, or a hint to other programs than this one.
fn is_harmless(key: &str, value: &str) -> bool {
    match key {
        "application_name"
        | "fallback_application_name"
        | "connect_timeout"
        | "tcp_user_timeout"
        | "sslsni"
        | "sslcompression"
        | "sslnegotiation" => true,
        "keepalives" | "keepalives_idle" | "keepalives_interval" | "keepalives_count" => true,
        // Of consoles, for Prisma, node-postgres and poolers.
        "pgbouncer"
        | "supa"
        | "schema"
        | "connection_limit"
        | "pool_timeout"
        | "statement_cache_size"
        | "uselibpqcompat" => true,
        "client_encoding" => matches!(
            value.to_ascii_lowercase().as_str(),
            "utf8" | "utf-8" | "auto"
        ),
        "ssl" => value == "true",
        _ => false,
    }
}

/// The name of a parameter, fit to be shown.
fn shown(key: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    key.chars().filter(plain).take(40).collect()
}
