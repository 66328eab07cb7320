//! Why something was not fetched.

use crate::error::OutboundError;

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address was refused, or nothing answered there in time.
    #[error(transparent)]
    Connection(#[from] OutboundError),
    /// The time for the whole was over before the body was.
    #[error("the answer did not end in time")]
    TooSlow,
    /// Nothing came for too long.
    #[error("the answer stopped coming")]
    Idle,
    /// The headers are larger than the bound.
    #[error("the answer has more than {most} bytes of headers")]
    HeadersTooLarge {
        /// The bound.
        most: usize,
    },
    /// The body is larger than the bound, as it is or once it is decompressed.
    #[error("the answer is longer than {most} bytes")]
    BodyTooLarge {
        /// The bound.
        most: usize,
    },
    /// Each redirect led to another.
    #[error("there were more than {most} redirects")]
    TooManyRedirects {
        /// The bound.
        most: usize,
    },
    /// A redirect that is not followed.
    #[error("the redirect is not followed: {reason}")]
    RedirectRefused {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What answers does not speak HTTP, or broke off.
    #[error("the answer could not be read")]
    Broken {
        /// What the HTTP client said, without the address.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FetchError {
    /// The stable name of this kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connection(error) => error.code(),
            Self::TooSlow => "answer_too_slow",
            Self::Idle => "answer_idle",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::TooManyRedirects { .. } => "too_many_redirects",
            Self::RedirectRefused { .. } => "redirect_refused",
            Self::Broken { .. } => "answer_broken",
        }
    }

    /// The address is left out: its path and query can hold a secret.
    pub(crate) fn broken(error: reqwest::Error) -> Self {
        Self::Broken {
            source: error.without_url().into(),
        }
    }
}
