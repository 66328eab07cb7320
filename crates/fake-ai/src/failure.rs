//! Failing replies.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::format::Format;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Quota,
    Context,
    Filter,
    Status(u16),
}

impl Failure {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "quota" => Self::Quota,
            "context" => Self::Context,
            "filter" => Self::Filter,
            _ => Self::Status(word.parse().ok().filter(|it| (300..600).contains(it))?),
        })
    }

    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Quota => 429,
            Self::Context | Self::Filter => 400,
            Self::Status(status) => status,
        }
    }

    /// The reply, as the format's own server gives it. Gemini's says in the body how long to wait.
    pub(crate) fn response(
        self,
        format: Format,
        key: Option<&str>,
        retry_after: Option<&str>,
    ) -> Response {
        let status = StatusCode::from_u16(format.status(self)).unwrap_or_default();
        let body = format.error(self, key, retry_after);
        let mut response = (status, Json(body)).into_response();
        let value = retry_after.filter(|_| format != Format::Gemini);
        if let Some(value) = value.and_then(|it| HeaderValue::from_str(it).ok()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// A request that the fake cannot read.
pub(crate) fn bad_request(message: &str) -> Response {
    let error = json!({"error": {
        "message": message, "type": "invalid_request_error", "param": null, "code": null,
    }});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}
