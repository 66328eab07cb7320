//! A database address, from text that a client wrote to a structure that cannot be wrong.

mod authority;
mod error;
mod host;
mod keywords;
mod parameters;
mod parts;
mod placeholder;
mod supabase;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use stoa_outbound::AddressPolicy;

pub use authority::CertificateAuthority;
pub use error::AddressError;
use parameters::SslMode;
use parts::Parts;
pub(crate) use supabase::{SESSION_PORT, TRANSACTION_PORT};
pub use supabase::{SupabaseDoor, SupabasePlace};

/// What is escaped in a URL: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where a client's database is and how to sign in. Secret as a whole: no `Display`, no
/// `Serialize`, and its `Debug` hides user and password.
#[derive(Clone)]
pub struct DatabaseAddress {
    host: String,
    port: u16,
    user: String,
    password: Option<SecretString>,
    database: String,
    tls: TlsMode,
    /// Whether a sign-in without channel binding is refused.
    binding_required: bool,
    certificate_authority: Option<CertificateAuthority>,
    operators: bool,
}

/// Whether the connection is encrypted and the server proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Encrypted, and the certificate is the host's. The only way for hosts not on the list.
    Verify,
    /// Encrypted when the server offers it, whatever its certificate.
    Prefer,
    /// In the clear.
    Disable,
}

/// Which hosts may be reached without verified TLS.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    policy: AddressPolicy,
}

impl AddressRules {
    /// The rules that follow from the operator's list of allowed hosts.
    #[must_use]
    pub fn new(policy: AddressPolicy) -> Self {
        Self { policy }
    }
}

impl DatabaseAddress {
    /// Reads an address that a client gave: a URL, or libpq's `host=… user=…`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(text: &str, rules: &AddressRules) -> Result<Self, AddressError> {
        let parts = Parts::split(text)?;
        require_filled_in(&parts)?;
        let address = Self::of_a_client(parts, rules)?;
        if address.tls != TlsMode::Verify && !rules.policy.lists(&address.host, address.port) {
            return Err(AddressError::TlsRequired);
        }
        Ok(address)
    }

    /// Reads an address that was accepted once. Whether its host may still be reached without
    /// verified TLS is judged at every connection, so that an operator who takes a host off the
    /// list stops the connections to it and nothing else.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse_stored(text: &str, rules: &AddressRules) -> Result<Self, AddressError> {
        Self::of_a_client(Parts::split(text)?, rules)
    }

    /// Reads an address that the operator configured or that this program made: its host is not
    /// judged, and TLS is as the address says, preferred when it says nothing.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse_operators(text: &str) -> Result<Self, AddressError> {
        let parts = Parts::split(text)?;
        let tls = match parts.parameters.ssl_mode {
            Some(SslMode::Require) => TlsMode::Verify,
            Some(SslMode::Disable) => TlsMode::Disable,
            Some(SslMode::Prefer) | None => TlsMode::Prefer,
        };
        Ok(Self::of_parts(parts, tls, true))
    }

    /// The same address, whose server proves itself by these certificate authorities and no others.
    #[must_use]
    pub fn with_certificate_authority(self, authority: CertificateAuthority) -> Self {
        Self {
            // Whoever gives an authority wants the server to prove itself by it.
            tls: TlsMode::Verify,
            certificate_authority: Some(authority),
            ..self
        }
    }

    fn of_a_client(parts: Parts, rules: &AddressRules) -> Result<Self, AddressError> {
        if parts.password.is_none() {
            return Err(AddressError::NoPassword);
        }
        let listed = rules.policy.lists(&parts.host, parts.port);
        let tls = match parts.parameters.ssl_mode {
            // What verifies less is raised: asking for some TLS means not wanting to be fooled.
            Some(SslMode::Require) => TlsMode::Verify,
            Some(SslMode::Prefer) => TlsMode::Prefer,
            Some(SslMode::Disable) => TlsMode::Disable,
            None if listed => TlsMode::Prefer,
            None => TlsMode::Verify,
        };
        Ok(Self::of_parts(parts, tls, false))
    }

    fn of_parts(parts: Parts, tls: TlsMode, operators: bool) -> Self {
        Self {
            host: parts.host,
            port: parts.port,
            user: parts.user,
            password: parts.password.map(SecretString::from),
            database: parts.database,
            tls,
            binding_required: parts.parameters.binding_required,
            certificate_authority: None,
            operators,
        }
    }

    /// The same server and way of encryption, with another role and database on it.
    pub(crate) fn with_role(&self, role: &str, password: SecretString, database: &str) -> Self {
        Self {
            user: role.to_owned(),
            password: Some(password),
            database: database.to_owned(),
            ..self.clone()
        }
    }

    /// The same server and way of encryption, with the role, password and database of another
    /// address.
    pub(crate) fn with_credentials_of(&self, other: &Self) -> Self {
        Self {
            user: other.user.clone(),
            password: other.password.clone(),
            database: other.database.clone(),
            ..self.clone()
        }
    }

    /// The same server and role, with another database.
    pub(crate) fn with_database(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }

    /// The host, as it was given, lowercase.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The role that signs in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How the connection is encrypted.
    #[must_use]
    pub fn tls(&self) -> TlsMode {
        self.tls
    }

    /// Host and port, fit to be shown.
    #[must_use]
    pub fn display_host(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// The whole address as a URL, to be sealed or handed to its owner.
    #[must_use]
    pub fn to_secret_url(&self) -> SecretString {
        let password = match &self.password {
            Some(password) => format!(":{}", escaped(password.expose_secret())),
            None => String::new(),
        };
        let parameters = match (self.tls, self.binding_required) {
            (TlsMode::Verify, false) => "?sslmode=verify-full",
            (TlsMode::Verify, true) => "?sslmode=verify-full&channel_binding=require",
            (TlsMode::Disable, _) => "?sslmode=disable",
            (TlsMode::Prefer, false) => "",
            (TlsMode::Prefer, true) => "?channel_binding=require",
        };
        SecretString::from(format!(
            "postgres://{}{password}@{}:{}/{}{parameters}",
            escaped(&self.user),
            bracketed(&self.host),
            self.port,
            escaped(&self.database),
        ))
    }

    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The certificate authorities by which the server proves itself; `None` for the public ones.
    #[must_use]
    pub fn certificate_authority(&self) -> Option<&CertificateAuthority> {
        self.certificate_authority.as_ref()
    }

    /// Whether a sign-in without channel binding is refused.
    pub(crate) fn requires_binding(&self) -> bool {
        self.binding_required
    }

    /// Whether the password stands in the brackets of the placeholder that it took the place of.
    pub(crate) fn password_is_in_brackets(&self) -> bool {
        self.password.as_ref().is_some_and(|it| {
            let it = it.expose_secret();
            it.starts_with('[') && it.ends_with(']')
        })
    }

    pub(crate) fn is_operators(&self) -> bool {
        self.operators
    }
}

impl std::fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseAddress")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// What consoles leave to be filled in must have been.
fn require_filled_in(parts: &Parts) -> Result<(), AddressError> {
    let password = parts.password.as_deref().unwrap_or_default();
    if placeholder::is_placeholder_password(password) {
        return Err(AddressError::Placeholder("password"));
    }
    if placeholder::is_placeholder_name(&parts.user) {
        return Err(AddressError::Placeholder("user"));
    }
    if placeholder::is_placeholder_name(&parts.database) {
        return Err(AddressError::Placeholder("database"));
    }
    Ok(())
}

/// A piece of an address as it stands in a URL.
fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests;
