//! Why a server was not of use.

use stoa_outbound::{FetchError, OutboundError, SseError};

use crate::Outcome;
use crate::door::{AddressRefused, unanswered};
use crate::secrets::Secrets;

/// The most characters of a server's own words about a failure.
const LONGEST_MESSAGE: usize = 500;

/// Why an MCP server was not of use. What it said itself is bounded and free of secrets.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// It was not reached, or broke a bound of time or bytes.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is where nothing is asked.
    #[error(transparent)]
    Address(#[from] AddressRefused),
    /// It does not take the headers that went along, or wants some.
    #[error("the server does not let Stoa in (HTTP {status})")]
    Unauthorized {
        /// 401 or 403.
        status: u16,
    },
    /// It sends whoever asks to another address.
    #[error("the server leads to another address, which is not followed")]
    Redirected,
    /// It answered with a status that says no more.
    #[error("the server answered with HTTP {status}")]
    Status {
        /// Which.
        status: u16,
    },
    /// What answers does not speak MCP, or breaks it.
    #[error("what answers does not speak MCP as it should: {0}")]
    Protocol(&'static str),
    /// It speaks none of the versions that are spoken here.
    #[error("the server speaks none of the versions of MCP that are spoken here")]
    Version,
    /// It answered with an error of its own.
    #[error("the server refused: {message}")]
    Refused {
        /// The code of JSON-RPC.
        code: i64,
        /// What it said.
        message: String,
    },
    /// It knows nothing (any more) of the session.
    #[error("the server does not keep its sessions")]
    SessionLost,
}

impl McpError {
    /// The stable name of this kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::Address(refused) => refused.code(),
            Self::Unauthorized { .. } => "unauthorized",
            Self::Redirected => "redirected",
            Self::Status { .. } => "http_status",
            Self::Protocol(_) => "protocol",
            Self::Version => "version_unknown",
            Self::Refused { .. } => "refused",
            Self::SessionLost => "session_lost",
        }
    }

    pub(super) fn refused(code: i64, message: &str, secrets: &Secrets) -> Self {
        let message = secrets.taken_out_of(message.to_owned());
        let plain = message.split(|it: char| it.is_control() || it.is_whitespace());
        let words: Vec<&str> = plain.filter(|it| !it.is_empty()).collect();
        let message: String = words.join(" ").chars().take(LONGEST_MESSAGE).collect();
        Self::Refused { code, message }
    }

    /// Whether time ran out, so that nobody knows whether anything was done.
    pub(super) const fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::Fetch(
                FetchError::TooSlow
                    | FetchError::Idle
                    | FetchError::Connection(OutboundError::Timeout { .. })
            )
        )
    }

    /// What a model is told of a call that failed in this way.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Fetch(error) => unanswered(error),
            Self::Address(refused) => {
                Outcome::failed(refused.code(), format!("Nothing was sent: {refused}."))
            }
            Self::Unauthorized { .. } => Outcome::failed(
                self.code(),
                "The tool does not take the credentials that it was set up with.".to_owned(),
            ),
            Self::Refused { message, .. } => {
                Outcome::failed(self.code(), format!("The tool refused: {message}"))
            }
            Self::Status { status } => {
                let told = format!("The tool's server answered with HTTP status {status}.");
                Outcome::failed(self.code(), told)
            }
            Self::Redirected | Self::Protocol(_) | Self::Version | Self::SessionLost => {
                let told = format!("The tool did not answer as it should: {self}.");
                Outcome::failed(self.code(), told)
            }
        }
    }
}

impl From<SseError> for McpError {
    fn from(error: SseError) -> Self {
        Self::Protocol(match error {
            SseError::LineTooLong | SseError::EventTooLong => "an event is too long",
            SseError::NotUtf8 => "an event is not UTF-8",
        })
    }
}
