//! Why a document was not taken, as problems.

use axum::http::StatusCode;
use stoa_app::documents::{DocumentError, ExtractError};

use crate::http::problem::Problem;

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::NotFound => Self::not_found(),
            DocumentError::Invalid { field, message } => Self::invalid_field(field, message),
            DocumentError::Unreadable(error) => unreadable(&error),
            DocumentError::Database(error) => error.into(),
            DocumentError::Platform(error) => error.into(),
        }
    }
}

fn unreadable(error: &ExtractError) -> Problem {
    let status = match error.code() {
        "unsupported_format" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "document_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, error.code(), error.to_string())
}
