//! Why a text is not an address that can be used, and what to do about it.

/// Why a text is not an address that can be used. Never holds any of the text but the name of a
/// parameter.
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
    /// A part of it is still what the provider's console left to be filled in.
    #[error("the address still has a placeholder where the {0} belongs")]
    Placeholder(&'static str),
    /// The host is missing, or is a socket, a list, or otherwise not one host.
    #[error("the address must name exactly one host, by name or by address")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// It has a parameter that is not taken.
    #[error("the parameter `{0}` is not taken")]
    Parameter(String),
    /// It has a parameter twice.
    #[error("the parameter `{0}` is given twice")]
    Repeated(String),
    /// A parameter that providers put into addresses, and what to do instead.
    #[error("the parameter `{parameter}` is not taken here")]
    Instead {
        /// The parameter.
        parameter: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// `sslmode` has a value that PostgreSQL does not know.
    #[error("sslmode must be verify-full")]
    SslMode,
    /// `sslmode` is lower than this host may have.
    #[error("this host must be reached with verified TLS: leave sslmode out, or say verify-full")]
    TlsRequired,
    /// The certificate authority is not PEM, or too much of it.
    #[error("the certificate authority must be one or more certificates in PEM form")]
    CertificateAuthority,
    /// A private key stands where a certificate authority belongs.
    #[error("this holds a private key, which belongs to the server alone")]
    PrivateKey,
}

impl AddressError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Placeholder("password") => {
                "Put the database's password in place of [YOUR-PASSWORD], without the brackets. On \
                 Supabase it is the one from the project's making; Database → Settings sets a new one."
            }
            Self::Placeholder(_) => {
                "Copy the connection string from your provider's console, where every part but the \
                 password is filled in."
            }
            Self::NoPassword => {
                "Put the password behind the user: postgres://user:password@host:5432/database."
            }
            Self::Host => {
                "Name one server, by its name or its public address. Lists of hosts, sockets and \
                 hostaddr are not taken."
            }
            Self::Parameter(_) => {
                "Leave it out. Taken are sslmode, channel_binding, application_name, \
                 connect_timeout, keepalives, target_session_attrs and gssencmode; host, user, \
                 password and database stand before the question mark."
            }
            Self::Repeated(_) => "Give it once.",
            Self::Instead { remedy, .. } => remedy,
            Self::SslMode | Self::TlsRequired => {
                "Leave sslmode out: TLS is always used and verified. A server with a certificate \
                 authority of its own is verified by ca_certificate. For a host inside the \
                 operator's own network, the operator can name it in STOA_ALLOWED_PRIVATE_HOSTS."
            }
            Self::CertificateAuthority => {
                "Give the authority's certificate as text from -----BEGIN CERTIFICATE----- to \
                 -----END CERTIFICATE-----, at most 64 KiB."
            }
            Self::PrivateKey => {
                "Give only what stands between -----BEGIN CERTIFICATE----- and -----END \
                 CERTIFICATE-----, and consider whether the key has been seen by others."
            }
            Self::Form | Self::Characters | Self::NoUser | Self::NoDatabase | Self::Port => {
                "Copy the connection string from your provider's console, with the password filled \
                 in: postgres://user:password@host:5432/database."
            }
        }
    }
}
