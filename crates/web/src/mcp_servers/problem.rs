//! Failures of MCP servers, as problems.

use axum::http::StatusCode;
use stoa_app::mcp_servers::{MOST_SERVERS, McpServerError};

use crate::http::problem::Problem;

impl From<McpServerError> for Problem {
    fn from(error: McpServerError) -> Self {
        let conflict = |code, told: &str| Self::new(StatusCode::CONFLICT, code, told);
        let refused = |code, told: &str| Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, told);
        match error {
            McpServerError::NotFound => Self::not_found(),
            McpServerError::Invalid(violations) => Self::invalid(violations),
            McpServerError::NameTaken => conflict(
                "name_taken",
                "Another MCP server has this name, and models go by it. Choose another one.",
            )
            .naming("name", "taken by another server"),
            McpServerError::HeadersRequired => refused(
                "headers_required",
                "A stored header goes to no other host than the one it was given for. Send every header again with the new url, or null for those that are to go.",
            )
            .naming("headers", "give them again with another host"),
            McpServerError::AddressRequired => refused(
                "url_needed",
                "What is stored of this server does not open here. Send its url and its headers again.",
            )
            .naming("url", "give it again with the headers"),
            McpServerError::Refused(refusal) => refused(
                refusal.code(),
                &format!(
                    "Nobody would be asked there: {refusal}. Use a public address that begins with https://, or ask the operator to name the host in STOA_ALLOWED_PRIVATE_HOSTS."
                ),
            )
            .naming("url", &refusal.to_string()),
            McpServerError::TooMany => conflict(
                "too_many_mcp_servers",
                &format!("There are {MOST_SERVERS} MCP servers already. Remove one first."),
            ),
            McpServerError::Changed => conflict(
                "mcp_server_changed",
                "The MCP server was changed or removed by somebody else at the same time. Look at it and try again.",
            ),
            McpServerError::ToolChanged(name) => conflict(
                "mcp_tool_changed",
                &format!(
                    "The tool “{name}” has changed since it was looked at. Look at it and allow it again."
                ),
            ),
            McpServerError::NoTool => Self::invalid_field(
                "tool",
                "the server offers no tool of this name: refresh it",
            ),
            McpServerError::Unlisted(failure) => Self::new(
                StatusCode::BAD_GATEWAY,
                "mcp_server_failed",
                format!(
                    "The server did not list its tools ({}): {failure}. Check its address and its headers, and try again.",
                    failure.code()
                ),
            ),
            McpServerError::Sealed(error) => Self::internal(&error),
            McpServerError::Database(error) => error.into(),
        }
    }
}
