//! Errors as people's programs see them: RFC 9457 problem documents.
//!
//! What is told and what is logged are separate: a [`Problem`] holds only what the caller may
//! know; whoever makes one of an unexpected error logs that error first ([`Problem::internal`]).

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoa_domain::Violation;
use utoipa::ToSchema;

use super::request_id;

/// What went wrong, and what to do about it.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Violation>,
    retry_after: Option<Duration>,
    extension: Option<serde_json::Value>,
}

/// The problem document of RFC 9457, with a stable `code`.
#[derive(Serialize, ToSchema)]
pub struct ProblemDocument {
    /// An address that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:stoa:problem:not_found")]
    kind: String,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do, in a sentence.
    detail: String,
    /// The kind of problem, stable, in snake case.
    code: &'static str,
    /// The id to give when asking for help; also in the header `X-Request-Id`.
    request_id: String,
    /// The fields of the body that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Violation>,
    /// Any further member, such as a database's list of checks.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    extension: Option<serde_json::Value>,
}

impl Problem {
    /// A problem of this status and code; `detail` is shown as it is.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extension: None,
        }
    }

    /// The object is not there, or not this caller's: the two are answered alike.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is no such object.",
        )
    }

    /// No valid credential came with the request.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// A body whose fields are wrong.
    #[must_use]
    pub fn invalid(errors: Vec<Violation>) -> Self {
        let detail = match errors.first() {
            Some(first) => format!(
                "The field “{}” is not right: {}.",
                first.field, first.message
            ),
            None => "The body is not right.".to_owned(),
        };
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
        }
    }

    /// One field of the body is wrong.
    #[must_use]
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Violation {
            field: field.to_owned(),
            message: message.into(),
        }])
    }

    /// Something broke on our side. The error is logged here, once, and not told.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %ErrorChain(error), request_id = %request_id::current(), "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "Something went wrong on our side. Try again; if it stays, ask for help with the request id.",
        )
    }

    /// Says when to come back, in the header `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// When to come back, where that is known.
    pub(crate) const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Names the fields that it is about.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Violation>) -> Self {
        self.errors = errors;
        self
    }

    /// The fields that it is about.
    #[must_use]
    pub fn errors(&self) -> &[Violation] {
        &self.errors
    }

    /// Adds further members, those of an object, to the document.
    #[must_use]
    pub fn with_extension(mut self, extension: serde_json::Value) -> Self {
        self.extension = Some(extension);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: format!("urn:stoa:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
            request_id: request_id::current(),
            errors: self.errors,
            extension: self.extension,
        };
        let mut response = (self.status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_secs().max(1)),
            );
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An error and its sources on one line, for the log.
pub(crate) struct ErrorChain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
