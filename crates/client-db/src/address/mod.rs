//! A database address, from text that a client wrote to a structure that cannot be wrong.

mod parts;
mod supabase;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use stoa_outbound::AddressPolicy;

use parts::{Parts, SslMode};
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
    certificate_authority: Option<String>,
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

/// Why a text is not an address that can be used. Never holds any of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not of the form `postgres://user:password@host:port/database`.
    #[error("the address must look like postgres://user:password@host:5432/database")]
    Form,
    /// It is too long or holds characters that no address has.
    #[error("the address is too long or has characters that no address has")]
    Characters,
    /// It has no user.
    #[error("the address names no user")]
    NoUser,
    /// It has no password.
    #[error("the address has no password")]
    NoPassword,
    /// It has no database.
    #[error("the address names no database")]
    NoDatabase,
    /// The host is missing, or is a socket, a list, or otherwise not one host.
    #[error("the address must name exactly one host, by name or by address")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// It has a parameter that is not taken.
    #[error("the parameter `{0}` is not taken: use sslmode, application_name or connect_timeout")]
    Parameter(String),
    /// `sslmode` has a value that PostgreSQL does not know.
    #[error("sslmode must be verify-full")]
    SslMode,
    /// `sslmode` is lower than this host may have.
    #[error("this host must be reached with verified TLS: leave sslmode out, or say verify-full")]
    TlsRequired,
    /// The certificate authority is not PEM.
    #[error("the certificate authority must be one or more certificates in PEM form")]
    CertificateAuthority,
}

impl DatabaseAddress {
    /// Reads an address that a client gave.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(text: &str, rules: &AddressRules) -> Result<Self, AddressError> {
        let parts = Parts::split(text)?;
        let listed = rules.policy.lists(&parts.host, parts.port);
        let tls = match (parts.ssl_mode, listed) {
            // What verifies less is raised: asking for some TLS means not wanting to be fooled.
            (Some(SslMode::Require), _) | (None, false) => TlsMode::Verify,
            (Some(SslMode::Prefer) | None, true) => TlsMode::Prefer,
            (Some(SslMode::Disable), true) => TlsMode::Disable,
            (Some(SslMode::Prefer | SslMode::Disable), false) => {
                return Err(AddressError::TlsRequired);
            }
        };
        let password = parts.password.ok_or(AddressError::NoPassword)?;
        Ok(Self {
            host: parts.host,
            port: parts.port,
            user: parts.user,
            password: Some(SecretString::from(password)),
            database: parts.database,
            tls,
            certificate_authority: None,
            operators: false,
        })
    }

    /// Reads an address that the operator configured or that this program made: its host is not
    /// judged, and TLS is as the address says, preferred when it says nothing.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse_operators(text: &str) -> Result<Self, AddressError> {
        let parts = Parts::split(text)?;
        let tls = match parts.ssl_mode {
            Some(SslMode::Require) => TlsMode::Verify,
            Some(SslMode::Disable) => TlsMode::Disable,
            Some(SslMode::Prefer) | None => TlsMode::Prefer,
        };
        Ok(Self {
            host: parts.host,
            port: parts.port,
            user: parts.user,
            password: parts.password.map(SecretString::from),
            database: parts.database,
            tls,
            certificate_authority: None,
            operators: true,
        })
    }

    /// The same address, whose server proves itself by these certificate authorities and no others.
    ///
    /// # Errors
    ///
    /// When `pem` holds no certificate.
    pub fn with_certificate_authority(mut self, pem: &str) -> Result<Self, AddressError> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            certificate.map_err(|_| AddressError::CertificateAuthority)?;
            count += 1;
        }
        if count == 0 || pem.len() > 64 * 1024 {
            return Err(AddressError::CertificateAuthority);
        }
        self.certificate_authority = Some(pem.to_owned());
        Ok(self)
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
        let encode = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let password = match &self.password {
            Some(password) => format!(":{}", encode(password.expose_secret())),
            None => String::new(),
        };
        let ssl_mode = match self.tls {
            TlsMode::Verify => "?sslmode=verify-full",
            TlsMode::Disable => "?sslmode=disable",
            TlsMode::Prefer => "",
        };
        SecretString::from(format!(
            "postgres://{}{password}@{}:{}/{}{ssl_mode}",
            encode(&self.user),
            bracketed(&self.host),
            self.port,
            encode(&self.database),
        ))
    }

    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    pub(crate) fn certificate_authority(&self) -> Option<&str> {
        self.certificate_authority.as_deref()
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

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests;
