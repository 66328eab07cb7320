//! Why a connection was not made.

use std::io;

/// Why a connection to an address that a client chose was refused or failed.
///
/// The messages name the host that the caller gave and never the addresses it resolved to, so
/// that nobody can map a private network by asking.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The host is, or resolves to, an address that is not globally routable and not allowed.
    #[error("{host} is not a public address, and the operator has not allowed it")]
    Forbidden {
        /// The host as the caller gave it.
        host: String,
    },
    /// The name has no address.
    #[error("the name {host} does not resolve to an address")]
    Unresolved {
        /// The host as the caller gave it.
        host: String,
    },
    /// The scheme, the host or the credentials in an address are not usable here.
    #[error("the address cannot be used: {reason}")]
    InvalidAddress {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nothing listens there.
    #[error("{host} refused the connection")]
    Refused {
        /// The host as the caller gave it.
        host: String,
    },
    /// The deadline passed.
    #[error("{host} did not answer in time")]
    Timeout {
        /// The host as the caller gave it.
        host: String,
    },
    /// The network failed in another way.
    #[error("{host} could not be reached")]
    Unreachable {
        /// The host as the caller gave it.
        host: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// TLS could not be agreed upon, or the certificate is not the host's.
    #[error("{host} did not prove who it is: {reason}")]
    Tls {
        /// The host as the caller gave it.
        host: String,
        /// What was wrong.
        reason: String,
    },
    /// The HTTP client could not be built, for instance for want of trust roots.
    #[error("the HTTP client could not be set up")]
    Setup {
        /// What is missing.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OutboundError {
    /// The stable name of this kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "address_forbidden",
            Self::Unresolved { .. } => "name_not_resolved",
            Self::InvalidAddress { .. } => "address_invalid",
            Self::Refused { .. } => "connection_refused",
            Self::Timeout { .. } => "connection_timeout",
            Self::Unreachable { .. } => "host_unreachable",
            Self::Tls { .. } => "tls_failed",
            Self::Setup { .. } => "outbound_setup",
        }
    }

    pub(crate) fn from_io(host: &str, source: io::Error) -> Self {
        let host = host.to_owned();
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { host },
            io::ErrorKind::TimedOut => Self::Timeout { host },
            _ => Self::Unreachable { host, source },
        }
    }
}
