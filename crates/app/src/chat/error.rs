//! What can keep a visitor from an answer.

use std::time::Duration;

use stoa_ai::{AiError, AiErrorCode};
use stoa_client_db::ClientDbError;
use stoa_platform_db::DbError;

use super::event::Failure;
use super::opening::NotOpened;
use crate::database::DatabaseError;
use crate::registry::RegistryError;

/// Why a chat call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// There is no such conversation or message for this token.
    #[error("there is no such conversation")]
    NotFound,
    /// The message has nothing in it.
    #[error("the message is empty")]
    EmptyMessage,
    /// The message is too long.
    #[error("the message is longer than {limit} characters")]
    LongMessage {
        /// The limit.
        limit: usize,
    },
    /// The platform has suspended the instance.
    #[error("this chat is suspended")]
    Suspended,
    /// The instance is not set up yet, or is being deleted.
    #[error("this chat is not available")]
    NotActive,
    /// Too many answers are being written for this instance.
    #[error("too many answers are being written at once")]
    Busy,
    /// Only the last answer of a conversation with the bot can be made again, once it has ended.
    #[error("this answer cannot be made again")]
    NotTheLastAnswer,
    /// The visitor has said already whether a call may be made, or nobody asks any more.
    #[error("nobody asks about this call any more")]
    AlreadyDecided,
    /// Nobody could answer.
    #[error("no answer could be had")]
    NoAnswer(Failure),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The registry failed.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
}

/// A failure as the visitor is told, made of what the provider said. Nothing of the client's
/// account with the provider is in it: a visitor is told that the assistant is unavailable, the
/// client's console why.
#[must_use]
pub fn visitor_failure(error: &AiError) -> Failure {
    let (code, text) = match error.code() {
        AiErrorCode::RateLimited { .. } | AiErrorCode::Overloaded => (
            "ai_overloaded",
            "The assistant is very busy. Please try again in a moment.",
        ),
        AiErrorCode::ContextTooLong => (
            "ai_context_too_long",
            "This conversation has become too long. Please start a new one.",
        ),
        AiErrorCode::ContentFiltered => (
            "ai_content_filtered",
            "The assistant cannot answer this. Please ask in other words.",
        ),
        AiErrorCode::Timeout => (
            "ai_timeout",
            "The assistant took too long. Please try again.",
        ),
        AiErrorCode::Interrupted => ("ai_interrupted", "The answer broke off. Please try again."),
        _ => (
            "ai_unavailable",
            "The assistant is not available right now. Please try again later.",
        ),
    };
    Failure {
        code,
        text: text.into(),
        retryable: error.retryable(),
        wait: error.retry_after(),
    }
}

/// What keeps the first word from coming, as the visitor is told.
#[must_use]
pub fn opening_failure(error: &NotOpened) -> Failure {
    match error {
        NotOpened::Nobody => nobody_configured(),
        NotOpened::Model(error) => visitor_failure(error),
        // Visitors are answered with the client's own sentence; this is for whoever has none.
        NotOpened::NoBudget(_) => Failure {
            code: "budget_exhausted",
            text: "The assistant cannot answer for now. Please try again later.".into(),
            retryable: false,
            wait: None,
        },
        NotOpened::Ledger(error) => {
            tracing::error!(%error, "no model is asked: the budgets could not be looked up");
            Failure {
                code: "ai_unavailable",
                text: "The assistant is not available right now. Please try again later.".into(),
                retryable: true,
                wait: None,
            }
        }
        NotOpened::Retrieval(error) => {
            tracing::warn!(code = error.code(), "retrieval failed");
            Failure {
                code: "database_unavailable",
                text: "The assistant cannot reach its documents right now. Please try again."
                    .into(),
                retryable: true,
                wait: None,
            }
        }
    }
}

/// Nobody is configured who could answer.
#[must_use]
pub fn nobody_configured() -> Failure {
    Failure {
        code: "ai_not_configured",
        text: "The assistant is not set up yet.".into(),
        retryable: false,
        wait: None,
    }
}

/// The answer was written but could not be kept.
#[must_use]
pub fn not_saved() -> Failure {
    Failure {
        code: "answer_not_saved",
        text: "The answer could not be saved. It may be missing when you come back.".into(),
        retryable: true,
        wait: None,
    }
}

impl From<DbError> for ChatError {
    fn from(error: DbError) -> Self {
        Self::Registry(error.into())
    }
}

impl From<ClientDbError> for ChatError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

impl ChatError {
    /// How long to wait before trying again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(Duration::from_secs(2)),
            Self::NoAnswer(failure) => failure.wait,
            Self::Database(error) => error.retry_after(),
            _ => None,
        }
    }
}
