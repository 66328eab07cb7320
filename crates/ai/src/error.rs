//! Why an AI provider did not answer, in one set of codes for all of them.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use stoa_domain::Provider;

use crate::answer::Usage;
use crate::redact;

/// A failed call, or an answer that broke.
///
/// It speaks to three readers. [`fmt::Display`] is a sentence for anybody. [`AiError::detail`] is
/// for logs: statuses, codes and shapes, never what a person wrote. [`AiError::provider_message`]
/// is what the provider said, for the client admin who tests a configuration; it is in neither of
/// the others, since some servers echo the request in it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .code.sentence())]
pub struct AiError {
    code: AiErrorCode,
    detail: String,
    provider_message: Option<String>,
    /// The wait of a failure that is no rate limit.
    wait: Option<Duration>,
    /// What the provider had counted by then.
    taken: Option<Usage>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AiErrorCode {
    /// The key is wrong, revoked, or may not use this model.
    BadKey,
    /// The account behind the key has no money or quota left.
    NoQuota,
    /// Too many requests or tokens for now.
    RateLimited {
        /// How long the provider asks to wait, when it says.
        retry_after: Option<Duration>,
    },
    /// The conversation and its passages are more than the model reads.
    ContextTooLong,
    /// The provider refuses to answer this content.
    ContentFiltered,
    /// There is no such model, or no such API at the base URL.
    NotFound,
    /// The provider does not accept the request, for instance a temperature that the model lacks.
    Rejected,
    /// The provider is failing or overloaded.
    Overloaded,
    /// No connection could be made.
    Unreachable,
    /// A deadline passed.
    Timeout,
    /// The answer began and broke off.
    Interrupted,
    /// What came back is not what the provider's API says.
    Protocol,
    /// The address is not one that may be connected to.
    Forbidden,
    /// This provider, or this call on it, is not available here.
    Unsupported,
}

impl AiErrorCode {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadKey => "bad_key",
            Self::NoQuota => "no_quota",
            Self::RateLimited { .. } => "rate_limited",
            Self::ContextTooLong => "context_too_long",
            Self::ContentFiltered => "content_filtered",
            Self::NotFound => "not_found",
            Self::Rejected => "rejected",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Protocol => "protocol",
            Self::Forbidden => "forbidden",
            Self::Unsupported => "unsupported",
        }
    }

    /// What to tell the people who run the bot.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::BadKey => "the AI provider does not accept the API key",
            Self::NoQuota => "the account at the AI provider has no quota or credit left",
            Self::RateLimited { .. } => "the AI provider limits the rate of requests",
            Self::ContextTooLong => "the conversation is too long for the model",
            Self::ContentFiltered => "the AI provider's content filter refused the request",
            Self::NotFound => "the AI provider knows no such model, or the base URL is wrong",
            Self::Rejected => "the AI provider does not accept the request",
            Self::Overloaded => "the AI provider is failing or overloaded",
            Self::Unreachable => "the AI provider cannot be reached",
            Self::Timeout => "the AI provider did not answer in time",
            Self::Interrupted => "the answer of the AI provider broke off",
            Self::Protocol => "the AI provider's answer could not be understood",
            Self::Forbidden => "the address of the AI provider is not allowed",
            Self::Unsupported => "this is not supported with this AI provider",
        }
    }
}

impl AiError {
    pub(crate) fn new(code: AiErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            provider_message: None,
            wait: None,
            taken: None,
        }
    }

    pub(crate) fn protocol(detail: impl Into<String>) -> Self {
        Self::new(AiErrorCode::Protocol, detail)
    }

    pub(crate) fn unsupported(provider: Provider, what: &str) -> Self {
        Self::new(
            AiErrorCode::Unsupported,
            format!("{provider} has no {what} here"),
        )
    }

    /// Adds what the provider said; the caller has bounded it and taken keys out.
    pub(crate) fn with_provider_message(mut self, message: Option<String>) -> Self {
        self.provider_message = message;
        self
    }

    /// Adds how long the provider asks to wait.
    pub(crate) fn with_wait(mut self, wait: Option<Duration>) -> Self {
        match &mut self.code {
            AiErrorCode::RateLimited { retry_after } => *retry_after = wait.or(*retry_after),
            _ => self.wait = wait,
        }
        self
    }

    /// This failure again, of a call that was not made since there were so many in a row.
    pub(crate) fn resting(&self, failures: u32, left: Option<Duration>) -> Self {
        let detail = format!(
            "not asked after {failures} failures, the last: {}",
            self.detail
        );
        Self {
            detail,
            taken: None,
            ..self.clone()
        }
        .with_wait(left)
    }

    /// Adds what the provider had counted by then, unless that is known.
    pub(crate) fn having_taken(mut self, taken: Option<Usage>) -> Self {
        self.taken = self.taken.or(taken);
        self
    }

    /// Takes `key` out of what the provider said.
    pub(crate) fn without_key(mut self, key: Option<&SecretString>) -> Self {
        let said = self.provider_message.take();
        self.provider_message = said.and_then(|it| redact::message(&it, key));
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn code(&self) -> AiErrorCode {
        self.code
    }

    /// For logs; holds neither secrets nor anybody's words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What the provider said, bounded and without the key. For the client admin's eyes: a server
    /// may have put parts of the request into it, so it belongs into no log.
    #[must_use]
    pub fn provider_message(&self) -> Option<&str> {
        self.provider_message.as_deref()
    }

    /// What the call took all the same, as far as the provider has said: a failed call may be paid for.
    #[must_use]
    pub fn taken(&self) -> Option<Usage> {
        self.taken
    }

    /// How long the provider asks to wait, when it says.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.code {
            AiErrorCode::RateLimited { retry_after } => retry_after,
            _ => self.wait,
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(
            self.code,
            AiErrorCode::RateLimited { .. }
                | AiErrorCode::Overloaded
                | AiErrorCode::Unreachable
                | AiErrorCode::Timeout
                | AiErrorCode::Interrupted
        )
    }

    /// Whether the client's next configuration should be asked, if nothing has been said yet.
    ///
    /// Everything but a content filter's refusal: looking for a laxer model is not ours to do. A
    /// bad key is among them: whoever configured a second provider wants an answer from it, and
    /// the bad key is not hidden by that, since it is logged with its configuration and fails the
    /// configuration's test. So is a conversation that is too long, which another model may read.
    #[must_use]
    pub fn falls_through(&self) -> bool {
        self.code != AiErrorCode::ContentFiltered
    }
}

/// Without the provider's message, since `Debug` ends in logs.
impl fmt::Debug for AiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AiError")
            .field("code", &self.code)
            .field("detail", &self.detail)
            .finish_non_exhaustive()
    }
}
