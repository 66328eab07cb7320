//! Failures of conversations on the client's side, as problems.

use axum::http::StatusCode;
use stoa_app::chat::LONGEST_MESSAGE;
use stoa_app::sessions::SessionError;

use crate::http::problem::Problem;

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::not_found(),
            SessionError::EmptyMessage => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "message_empty",
                "The message is empty. Write something first.",
            ),
            SessionError::LongMessage => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "message_too_long",
                format!(
                    "The message is longer than {LONGEST_MESSAGE} characters. Make it shorter, or send it in parts."
                ),
            ),
            SessionError::UnknownAdmin => {
                Self::invalid_field("admin_id", "the id of one of this instance's admins")
            }
            SessionError::Database(error) => error.into(),
            SessionError::Platform(error) => error.into(),
        }
    }
}
