//! Failures in OpenAI's shape, with the statuses that its client libraries know.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoa_app::completions::{AiErrorCode, CompletionError, Stop};
use utoipa::ToSchema;

use crate::http::problem::Problem;

/// A failure, as OpenAI's API says it.
#[derive(Clone, Debug)]
pub(crate) struct OpenAiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What happened and what to do, in a sentence.
    message: String,
    /// The kind of failure: `invalid_request_error`, `authentication_error`, `permission_error`,
    /// `rate_limit_error`, `insufficient_quota` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field of the body that is wrong.
    param: Option<String>,
    /// A stable code.
    code: Option<&'static str>,
}

/// A failure's body.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDocument {
    /// What went wrong.
    pub(crate) error: ErrorBody,
}

impl OpenAiError {
    /// A failure of this status and code.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        Self {
            status,
            body: ErrorBody {
                message: message.into(),
                kind,
                param: None,
                code: Some(code),
            },
            retry_after: None,
        }
    }

    /// The request is not right, or one field of it.
    pub(crate) fn invalid(param: Option<&str>, message: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, "invalid_request", message);
        error.body.param = param.map(str::to_owned);
        error
    }

    /// A field would change the answer, and is not supported.
    pub(crate) fn unsupported(param: &str, message: impl Into<String>) -> Self {
        let mut error = Self::invalid(Some(param), message);
        error.body.code = Some("unsupported_parameter");
        error
    }

    /// The same in words only, for the middle of a stream.
    pub(crate) fn document(self) -> ErrorDocument {
        ErrorDocument { error: self.body }
    }

    fn no_such_model() -> Self {
        let mut error = Self::new(
            StatusCode::NOT_FOUND,
            "model_not_found",
            "This instance has no such model. GET /v1/models lists those that there are.",
        );
        error.body.param = Some("model".to_owned());
        error
    }

    fn no_embeddings() -> Self {
        Self {
            body: ErrorBody {
                message: "No AI configuration that is enabled has an embedding model. Set its embedding_model."
                    .to_owned(),
                ..Self::no_such_model().body
            },
            ..Self::no_such_model()
        }
    }
}

/// Refuses a field unless something holds of it.
pub(super) fn require(holds: bool, param: &str, message: &str) -> Result<(), OpenAiError> {
    match holds {
        true => Ok(()),
        false => Err(OpenAiError::invalid(Some(param), message)),
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        let (status, wait) = (self.status, self.retry_after);
        let mut response = (status, axum::Json(self.document())).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = wait {
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Failures that every feature can meet keep their status, code and sentence.
impl From<Problem> for OpenAiError {
    fn from(problem: Problem) -> Self {
        let mut error = Self::new(problem.status(), problem.code(), problem.detail());
        error.retry_after = problem.wait();
        if problem.status() == StatusCode::UNAUTHORIZED {
            error.body.code = Some("invalid_api_key");
        }
        error
    }
}

impl From<CompletionError> for OpenAiError {
    fn from(error: CompletionError) -> Self {
        let wait = error.retry_after();
        let mut failure = match error {
            CompletionError::NoSuchModel => Self::no_such_model(),
            CompletionError::NoEmbeddings => Self::no_embeddings(),
            CompletionError::WordsOnly => Self::unsupported(
                "response_format",
                "The bot answers in words. Name another model for other formats.",
            ),
            CompletionError::NoQuestion => Self::invalid(
                Some("messages"),
                "There is no message of the role “user” to answer.",
            ),
            CompletionError::Suspended => Self::new(
                StatusCode::FORBIDDEN,
                "instance_suspended",
                "This instance is suspended.",
            ),
            CompletionError::NotActive => Self::new(
                StatusCode::CONFLICT,
                "instance_not_active",
                "This instance is not set up yet. It becomes active when its database is connected and an AI configuration has passed its test.",
            ),
            CompletionError::Busy => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_answers",
                "Too many answers are being written for this instance. Try again in a moment.",
            ),
            CompletionError::Restarting => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "restarting",
                "The server is restarting. Try again in a moment.",
            ),
            CompletionError::Nobody => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ai_not_configured",
                "No AI configuration is enabled. Add one, or enable one.",
            ),
            CompletionError::NoBudget(stop) => no_budget(stop),
            CompletionError::Provider(error) => {
                provider(error.code(), &error.to_string(), error.provider_message())
            }
            CompletionError::Database(error) => Problem::from(error).into(),
            CompletionError::Platform(error) => Problem::from(error).into(),
        };
        failure.retry_after = failure.retry_after.or(wait);
        failure
    }
}

/// A budget of the instance's own stands against the call.
fn no_budget(stop: Stop) -> OpenAiError {
    let message = match stop {
        Stop::Exhausted(exhausted) => format!(
            "The instance's budget for AI is exhausted until {}. Raise it by PUT /api/client/v1/budgets, or wait.",
            exhausted.resets_at.format("%Y-%m-%d %H:%M UTC")
        ),
        Stop::UnknownPrice => "A budget limits money, and the price of this model is not known. Give the configuration's input_price and output_price.".to_owned(),
    };
    let mut error = OpenAiError::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", message);
    error.body.kind = "insufficient_quota";
    error
}

/// What the provider of the caller's own instance said. The caller holds the instance's key, so they
/// are told what a client's console would tell them; a bad key of the provider is not their own bad
/// key, and is not 401.
fn provider(code: AiErrorCode, sentence: &str, said: Option<&str>) -> OpenAiError {
    let (status, name) = match code {
        AiErrorCode::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
        AiErrorCode::NoQuota => (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota"),
        AiErrorCode::ContextTooLong => (StatusCode::BAD_REQUEST, "context_length_exceeded"),
        AiErrorCode::ContentFiltered => (StatusCode::BAD_REQUEST, "content_filter"),
        AiErrorCode::Rejected => (StatusCode::BAD_REQUEST, "provider_rejected"),
        AiErrorCode::Unsupported => (StatusCode::BAD_REQUEST, "provider_unsupported"),
        AiErrorCode::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "provider_overloaded"),
        AiErrorCode::Timeout => (StatusCode::GATEWAY_TIMEOUT, "provider_timeout"),
        AiErrorCode::Interrupted => (StatusCode::BAD_GATEWAY, "provider_interrupted"),
        AiErrorCode::Unreachable => (StatusCode::BAD_GATEWAY, "provider_unreachable"),
        AiErrorCode::BadKey => (StatusCode::BAD_GATEWAY, "provider_bad_key"),
        AiErrorCode::NotFound => (StatusCode::BAD_GATEWAY, "provider_model_not_found"),
        AiErrorCode::Protocol => (StatusCode::BAD_GATEWAY, "provider_protocol"),
        AiErrorCode::Forbidden => (StatusCode::BAD_GATEWAY, "provider_forbidden"),
    };
    let message = match said {
        Some(said) => format!("Failed: {sentence}. It said: {said}"),
        None => format!("Failed: {sentence}."),
    };
    let mut error = OpenAiError::new(status, name, message);
    if code == AiErrorCode::NoQuota {
        error.body.kind = "insufficient_quota";
    }
    error
}
