//! Failing replies, with the bodies that OpenAI gives them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

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

    /// The object under `error`.
    pub(crate) fn error(self, key: Option<&str>) -> Value {
        let (kind, code, message) = match self {
            Self::Quota => (
                "insufficient_quota",
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details."
                    .to_owned(),
            ),
            Self::Context => (
                "invalid_request_error",
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens. However, your messages \
                 resulted in 9000 tokens. Please reduce the length of the messages."
                    .to_owned(),
            ),
            Self::Filter => (
                "invalid_request_error",
                "content_filter",
                "The response was filtered due to the prompt triggering the content policy."
                    .to_owned(),
            ),
            // A provider that repeats the key in full is the worst case for those who log.
            Self::Status(401) => (
                "invalid_request_error",
                "invalid_api_key",
                format!("Incorrect API key provided: {}.", key.unwrap_or("none")),
            ),
            Self::Status(404) => (
                "invalid_request_error",
                "model_not_found",
                "The model does not exist or you do not have access to it.".to_owned(),
            ),
            Self::Status(429) => (
                "requests",
                "rate_limit_exceeded",
                "Rate limit reached for requests.".to_owned(),
            ),
            Self::Status(500..) => (
                "server_error",
                "",
                "The server had an error while processing your request.".to_owned(),
            ),
            Self::Status(status) => (
                "invalid_request_error",
                "",
                format!("The request was refused with status {status}."),
            ),
        };
        let code = (!code.is_empty()).then_some(code);
        json!({"message": message, "type": kind, "param": null, "code": code})
    }

    pub(crate) fn response(self, key: Option<&str>, retry_after: Option<&str>) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or_default();
        let mut response = (status, Json(json!({"error": self.error(key)}))).into_response();
        if let Some(value) = retry_after.and_then(|it| HeaderValue::from_str(it).ok()) {
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
