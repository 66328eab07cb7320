//! What can keep a program from its completion.

use std::time::Duration;

use stoa_ai::AiError;
use stoa_platform_db::DbError;

use crate::budgets::Refused;
use crate::chat::opening::{NotOpened, Stop};
use crate::database::DatabaseError;

/// Why there is no completion or no vector.
#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    /// The instance has no such model.
    #[error("there is no such model")]
    NoSuchModel,
    /// No configuration has an embedding model.
    #[error("no AI configuration has an embedding model")]
    NoEmbeddings,
    /// The instance's bot answers in words only.
    #[error("the bot has no other format than words")]
    WordsOnly,
    /// The conversation has no question.
    #[error("the messages have none of a user")]
    NoQuestion,
    /// The platform has suspended the instance.
    #[error("this instance is suspended")]
    Suspended,
    /// The instance is not set up yet.
    #[error("this instance is not active")]
    NotActive,
    /// Too many answers are being written for this instance.
    #[error("too many answers are being written at once")]
    Busy,
    /// The process is ending.
    #[error("the server is restarting")]
    Restarting,
    /// No AI configuration is enabled.
    #[error("no AI configuration is enabled")]
    Nobody,
    /// A budget stands against it.
    #[error("a budget stands against it")]
    NoBudget(Stop),
    /// The provider failed.
    #[error("the AI provider failed")]
    Provider(#[source] AiError),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<NotOpened> for CompletionError {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Nobody => Self::Nobody,
            NotOpened::Model(error) => Self::Provider(error),
            NotOpened::Retrieval(error) => Self::Database(error),
            NotOpened::NoBudget(stop) => Self::NoBudget(stop),
            NotOpened::Ledger(error) => Self::Platform(error),
        }
    }
}

impl From<Refused> for CompletionError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exhausted(exhausted) => Self::NoBudget(Stop::Exhausted(exhausted)),
            Refused::UnknownPrice => Self::NoBudget(Stop::UnknownPrice),
            Refused::Ledger(error) => Self::Platform(error),
        }
    }
}

impl CompletionError {
    /// How long to wait before trying again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy | Self::Restarting => Some(Duration::from_secs(2)),
            Self::NoBudget(Stop::Exhausted(exhausted)) => Some(exhausted.wait),
            Self::Provider(error) => error.retry_after(),
            Self::Database(error) => error.retry_after(),
            _ => None,
        }
    }
}
