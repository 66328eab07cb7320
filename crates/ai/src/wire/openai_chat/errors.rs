//! What failing replies mean.
//!
//! Sources: OpenAI's guide "Error codes", and the error references of Mistral, Groq, DeepSeek, xAI
//! and OpenRouter. Codes count before statuses and statuses before words, since several servers
//! use one status for unlike things.

use std::time::Duration;

use chrono::DateTime;
use http::{HeaderMap, header};
use secrecy::SecretString;

use crate::error::{AiError, AiErrorCode};
use crate::redact;
use crate::wire::{Refusal, Said};

const NO_QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "payment_required",
];
const NO_QUOTA_PHRASES: &[&str] = &[
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credits",
    "doesn't have any credits",
];
const CONTEXT: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];
const CONTEXT_PHRASES: &[&str] = &[
    "maximum context length",
    "maximum prompt length",
    "context window",
    "context size",
    "prompt is too long",
    "reduce the length of the messages",
];
const FILTERED: &[&str] = &[
    "content_filter",
    "content_policy_violation",
    "moderation_error",
];
const FILTERED_PHRASES: &[&str] = &["flagged", "content management policy"];
const BAD_KEY: &[&str] = &["invalid_api_key", "authentication_error"];
const RATE_LIMITED: &[&str] = &["rate_limit_exceeded", "rate_limit_error"];

/// A wait that is longer than this is as good as none said.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What a reply with a failing status means.
pub(crate) fn explain(refusal: &Refusal<'_>, key: Option<&SecretString>) -> AiError {
    let said = Said::parse(refusal.body);
    let code = match classify(refusal.status, &said) {
        AiErrorCode::RateLimited { .. } => AiErrorCode::RateLimited {
            retry_after: retry_after(refusal.headers),
        },
        other => other,
    };
    let mut detail = format!("HTTP {}", refusal.status);
    for (name, value) in [("type", &said.kind), ("code", &said.code)] {
        if let Some(value) = redact::identifier(value, key) {
            detail.push_str(&format!(", {name} {value}"));
        }
    }
    AiError::new(code, detail).with_provider_message(redact::message(&said.message, key))
}

/// What an error in the middle of a stream, after a status of 200, means.
pub(crate) fn in_stream(said: &Said) -> AiError {
    let code = classify(said.status.unwrap_or(500), said);
    let kind = redact::identifier(&said.kind, None).unwrap_or_default();
    AiError::new(code, format!("an error in the stream, type `{kind}`"))
        .with_provider_message(redact::message(&said.message, None))
}

fn classify(status: u16, said: &Said) -> AiErrorCode {
    if said.is_one_of(NO_QUOTA) {
        return AiErrorCode::NoQuota;
    }
    if said.is_one_of(CONTEXT) {
        return AiErrorCode::ContextTooLong;
    }
    if said.is_one_of(FILTERED) {
        return AiErrorCode::ContentFiltered;
    }
    if said.is_one_of(BAD_KEY) {
        return AiErrorCode::BadKey;
    }
    let limited = AiErrorCode::RateLimited { retry_after: None };
    if said.is_one_of(RATE_LIMITED) {
        return limited;
    }
    match status {
        402 => AiErrorCode::NoQuota,
        403 | 429 if said.mentions(NO_QUOTA_PHRASES) => AiErrorCode::NoQuota,
        400 | 403 if said.mentions(FILTERED_PHRASES) => AiErrorCode::ContentFiltered,
        401 | 403 => AiErrorCode::BadKey,
        404 => AiErrorCode::NotFound,
        408 => AiErrorCode::Timeout,
        429 => limited,
        413 => AiErrorCode::ContextTooLong,
        400 | 422 | 500 if said.mentions(CONTEXT_PHRASES) => AiErrorCode::ContextTooLong,
        // Groq's "flex tier capacity exceeded".
        498 | 500..=599 => AiErrorCode::Overloaded,
        400..=499 => AiErrorCode::Rejected,
        // Redirects above all: none is followed, since it was not judged.
        _ => AiErrorCode::Protocol,
    }
}

/// The wait that the headers ask for: OpenAI's `retry-after-ms`, else `Retry-After` in seconds or
/// as a date, which is compared with the reply's own date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let seconds = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .and_then(|it| Duration::try_from_secs_f64(it).ok())
    };
    let date = |text: &str| DateTime::parse_from_rfc2822(text.trim()).ok();
    let milliseconds = text("retry-after-ms").and_then(seconds).map(|it| it / 1000);
    let wait = milliseconds.or_else(|| {
        let value = text(header::RETRY_AFTER.as_str())?;
        seconds(value).or_else(|| {
            let until = date(value)? - date(text(header::DATE.as_str())?)?;
            Some(until.to_std().unwrap_or_default())
        })
    })?;
    (wait <= LONGEST_WAIT).then_some(wait)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn explained(status: u16, body: &str) -> AiError {
        let key = SecretString::from("sk-secret-0123456789");
        let refusal = Refusal {
            status,
            headers: &HeaderMap::new(),
            body: body.as_bytes(),
        };
        explain(&refusal, Some(&key))
    }

    #[test]
    fn every_failure_has_its_code() {
        use AiErrorCode as Code;
        let limited = Code::RateLimited { retry_after: None };
        for (status, body, code) in [
            (
                401,
                r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                Code::BadKey,
            ),
            (401, "", Code::BadKey),
            (
                403,
                r#"{"error":{"message":"no access to model"}}"#,
                Code::BadKey,
            ),
            (
                403,
                r#"{"error":"Your team doesn't have any credits yet."}"#,
                Code::NoQuota,
            ),
            (
                403,
                r#"{"error":{"code":403,"message":"Your input was flagged"}}"#,
                Code::ContentFiltered,
            ),
            (
                402,
                r#"{"error":{"message":"Insufficient Balance"}}"#,
                Code::NoQuota,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                Code::NoQuota,
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
                limited,
            ),
            (429, "<html>", limited),
            (
                413,
                r#"{"error":{"message":"Request too large","type":"tokens","code":"rate_limit_exceeded"}}"#,
                limited,
            ),
            (413, "", Code::ContextTooLong),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens","code":"context_length_exceeded"}}"#,
                Code::ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
                Code::ContextTooLong,
            ),
            (
                422,
                r#"{"detail":"prompt is too long"}"#,
                Code::ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"code":"content_filter","message":"filtered"}}"#,
                Code::ContentFiltered,
            ),
            (
                400,
                r#"{"error":{"message":"Unsupported value: temperature"}}"#,
                Code::Rejected,
            ),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"extra"}]}"#,
                Code::Rejected,
            ),
            (
                404,
                r#"{"error":{"code":"model_not_found","message":"no"}}"#,
                Code::NotFound,
            ),
            (408, "", Code::Timeout),
            (
                500,
                r#"{"error":{"message":"The server had an error","type":"server_error"}}"#,
                Code::Overloaded,
            ),
            (503, "", Code::Overloaded),
            (529, "", Code::Overloaded),
            (302, "", Code::Protocol),
        ] {
            assert_eq!(explained(status, body).code(), code, "{status} {body}");
        }
    }

    #[test]
    fn neither_the_key_nor_the_message_gets_into_the_log() {
        let error = explained(
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-secret-0123456789 for Ann","type":"sk-secret-0123456789","code":"invalid_api_key"}}"#,
        );
        assert_eq!(error.detail(), "HTTP 401, code invalid_api_key");
        assert_eq!(
            error.provider_message(),
            Some("Incorrect API key provided: [key] for Ann")
        );
        for shown in [format!("{error}"), format!("{error:?}")] {
            assert!(
                !shown.contains("Ann") && !shown.contains("0123456789"),
                "{shown}"
            );
        }
    }

    #[test]
    fn the_wait_is_read_in_each_of_its_forms() {
        let wait = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            retry_after(&headers.collect())
        };
        assert_eq!(
            wait(&[("retry-after", "20")]),
            Some(Duration::from_secs(20))
        );
        assert_eq!(
            wait(&[("retry-after", "1.5")]),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            wait(&[("retry-after-ms", "250"), ("retry-after", "1")]),
            Some(Duration::from_millis(250))
        );
        let now = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(
            wait(&[("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT"), now]),
            Some(Duration::from_secs(90))
        );
        assert_eq!(
            wait(&[("retry-after", "Wed, 21 Oct 2026 07:00:00 GMT"), now]),
            Some(Duration::ZERO)
        );
        for nothing in ["-1", "soon", "1e300", "999999999", "NaN"] {
            assert_eq!(wait(&[("retry-after", nothing)]), None, "{nothing}");
        }
        assert_eq!(wait(&[]), None);
    }
}
