//! Where calls may go, and what a model is told of one that came back with nothing.

use stoa_outbound::{FetchError, Outbound, OutboundError};
use url::Url;

use crate::Outcome;

/// Why no call is made to an address.
#[derive(Debug, thiserror::Error)]
pub enum AddressRefused {
    /// The door does not lead there.
    #[error(transparent)]
    Outbound(OutboundError),
    /// It is not encrypted, and the operator's list does not speak of its host.
    #[error(
        "the address must begin with https://, since secrets and what visitors say would go there in the clear"
    )]
    InTheClear,
}

impl AddressRefused {
    /// The stable name of this kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Outbound(error) => error.code(),
            Self::InTheClear => "not_encrypted",
        }
    }
}

/// Judges an address so far as can be said without asking for it: whether it is a public one or one
/// that the operator has allowed, and whether a call would go there in the clear.
pub(crate) fn judge(outbound: &Outbound, url: &Url) -> Result<(), AddressRefused> {
    let port = outbound.judge(url).map_err(AddressRefused::Outbound)?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" && !outbound.policy().lists(host, port) {
        return Err(AddressRefused::InTheClear);
    }
    Ok(())
}

/// Why nothing was heard. Whether a call that broke off did anything is not known, and so the model
/// is told.
pub(crate) fn unanswered(error: &FetchError) -> Outcome {
    let code = match error {
        FetchError::Connection(OutboundError::Forbidden { .. }) => "address_forbidden",
        FetchError::Connection(OutboundError::Timeout { .. })
        | FetchError::TooSlow
        | FetchError::Idle => "timeout",
        FetchError::Connection(_) => "unreachable",
        _ => "answer_broken",
    };
    let is_certain = matches!(
        error,
        FetchError::Connection(
            OutboundError::Forbidden { .. }
                | OutboundError::Unresolved { .. }
                | OutboundError::InvalidAddress { .. }
                | OutboundError::Refused { .. }
                | OutboundError::Tls { .. }
        )
    );
    let so = if is_certain {
        "Nothing was sent."
    } else {
        "Whether the call did anything is not known."
    };
    Outcome::failed(code, format!("The tool did not answer: {error}. {so}"))
}
