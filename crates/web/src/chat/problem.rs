//! What keeps a visitor from an answer, as problems. A visitor is told that something is not
//! available, never why the client's database or account failed.

use axum::http::StatusCode;
use stoa_app::DatabaseError;
use stoa_app::chat::ChatError;

use super::messages::failure_problem;
use crate::http::problem::{ErrorChain, Problem};

impl From<ChatError> for Problem {
    fn from(error: ChatError) -> Self {
        let wait = error.retry_after();
        let problem = match error {
            ChatError::NotFound => Self::not_found(),
            ChatError::EmptyMessage => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "message_empty",
                "The message is empty. Write something first.",
            ),
            ChatError::LongMessage { limit } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "message_too_long",
                format!(
                    "The message is longer than {limit} characters. Make it shorter, or send it in parts."
                ),
            ),
            ChatError::Suspended => Self::new(
                StatusCode::FORBIDDEN,
                "instance_suspended",
                "This chat is suspended.",
            ),
            ChatError::NotActive => Self::new(
                StatusCode::CONFLICT,
                "instance_not_active",
                "This chat is not set up yet. It becomes active when its database is connected and an AI configuration has passed its test.",
            ),
            ChatError::Busy => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_answers",
                "Too many answers are being written for this chat. Try again in a moment.",
            ),
            ChatError::NotTheLastAnswer => Self::new(
                StatusCode::CONFLICT,
                "not_the_last_answer",
                "Only the last answer of a conversation with the bot can be made again, once it has ended. Ask anew instead.",
            ),
            ChatError::AlreadyDecided => Self::new(
                StatusCode::CONFLICT,
                "already_decided",
                "This was decided before, or the answer no longer waits for it. What became of it stands in the steps of the message.",
            ),
            ChatError::NoAnswer(failure) => failure_problem(&failure),
            ChatError::Registry(error) | ChatError::Database(DatabaseError::Registry(error)) => {
                error.into()
            }
            ChatError::Database(error) => unavailable(&error),
        };
        match wait {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}

fn unavailable(error: &DatabaseError) -> Problem {
    if let DatabaseError::Failed(failed) = error
        && !failed.is_outage()
    {
        return Problem::internal(failed);
    }
    tracing::warn!(code = error.code(), error = %ErrorChain(error), "a client's database failed");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "chat_unavailable",
        "This chat is not available right now. Please try again in a moment.",
    )
}
