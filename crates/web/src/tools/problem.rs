//! Failures of tools, as problems.

use axum::http::StatusCode;
use stoa_app::tools::{MOST_TOOLS, ToolError};
use stoa_domain::Violation;

use crate::http::problem::Problem;

impl From<ToolError> for Problem {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::NotFound => Self::not_found(),
            ToolError::Invalid(violations) => Self::invalid(violations),
            ToolError::NameTaken => Self::new(
                StatusCode::CONFLICT,
                "name_taken",
                "Another tool has this name, and the model goes by it. Choose another one.",
            )
            .naming("name", "taken by another tool"),
            ToolError::HeadersRequired => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "headers_required",
                "A stored header goes to no other host than the one it was given for. Send every header again with the new url, or null for those that are to go.",
            )
            .naming("headers", "give them again with another host"),
            ToolError::Refused(refused) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                refused.code(),
                format!(
                    "Nobody would be called there: {refused}. Use a public address that begins with https://, or ask the operator to name the host in STOA_ALLOWED_PRIVATE_HOSTS."
                ),
            )
            .naming("url", &refused.to_string()),
            ToolError::TooMany => Self::new(
                StatusCode::CONFLICT,
                "too_many_tools",
                format!("There are {MOST_TOOLS} tools already. Remove one first."),
            ),
            ToolError::Changed => Self::new(
                StatusCode::CONFLICT,
                "tool_changed",
                "The tool was changed or removed by somebody else at the same time. Look at it and try again.",
            ),
            ToolError::Sealed(error) => Self::internal(&error),
            ToolError::Database(error) => error.into(),
        }
    }
}

impl Problem {
    pub(crate) fn naming(self, field: &str, message: &str) -> Self {
        self.with_errors(vec![Violation {
            field: field.to_owned(),
            message: message.to_owned(),
        }])
    }
}
