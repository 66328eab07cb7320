//! What failing replies mean.
//!
//! Sources: OpenAI's guide "Error codes", the error references of Mistral, Groq, DeepSeek, xAI and
//! OpenRouter, Anthropic's page "Errors", and Google's `google.rpc.Status` with its details. Codes
//! count before statuses and statuses before words, since several servers use one status for
//! unlike things.

use secrecy::SecretString;

use crate::error::{AiError, AiErrorCode};
use crate::redact;
use crate::wire::{Refusal, Said, wait};

const NO_QUOTA: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "payment_required",
    "billing_error",
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
];
const NO_QUOTA_PHRASES: &[&str] = &[
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credits",
    "doesn't have any credits",
    "credit balance is too low",
    "reached your specified api usage limits",
    // xAI's, for both at once.
    "used all available credits",
];
const CONTEXT: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];
const CONTEXT_PHRASES: &[&str] = &[
    "maximum context length",
    "maximum prompt length",
    "maximum context limit",
    "model's context length",
    "context window",
    "context size",
    "input tokens exceed",
    "maximum input length is",
    "prompt is too long",
    "reduce the length of the messages",
    "exceed context limit",
    "exceeds the maximum number of tokens",
];
const FILTERED: &[&str] = &[
    "content_filter",
    "content_policy_violation",
    "moderation_error",
    "cyber_policy",
];
const FILTERED_PHRASES: &[&str] = &[
    "flagged",
    "content management policy",
    "content filtering policy",
    "violating our usage policy",
    "as a result of the safety system",
];
const BAD_KEY: &[&str] = &[
    "invalid_api_key",
    "authentication_error",
    "API_KEY_INVALID",
    "UNAUTHENTICATED",
];
/// Some refuse a wrong key as they refuse any other wrong field.
const BAD_KEY_PHRASES: &[&str] = &[
    "incorrect api key",
    "invalid api key",
    "api key not valid",
    "api key expired",
];
const NOT_FOUND: &[&str] = &["model_not_found", "model_decommissioned", "invalid_model"];
const NOT_FOUND_PHRASES: &[&str] = &["model not exist", "is not a valid model"];
const RATE_LIMITED: &[&str] = &["rate_limit_exceeded", "rate_limit_error"];

/// What a reply with a failing status means.
pub(crate) fn explain(refusal: &Refusal<'_>, key: Option<&SecretString>) -> AiError {
    let said = Said::parse(refusal.body);
    let code = classify(refusal.status, &said);
    let wait = match code {
        AiErrorCode::RateLimited { .. } | AiErrorCode::Overloaded | AiErrorCode::NoQuota => {
            said.wait.or_else(|| wait::of(refusal.headers))
        }
        _ => None,
    };
    let mut detail = format!("HTTP {}", refusal.status);
    for (name, value) in [("type", &said.kind), ("code", &said.code)] {
        if let Some(value) = redact::identifier(value, key) {
            detail.push_str(&format!(", {name} {value}"));
        }
    }
    AiError::new(code, detail)
        .with_wait(wait)
        .with_provider_message(redact::message(&said.message, key))
        .having_taken(said.usage.known())
}

/// What an error in the middle of a stream, after a status of 200, means.
pub(crate) fn in_stream(said: &Said) -> AiError {
    let status = said.status.unwrap_or_else(|| status_of(&said.kind));
    let code = classify(status, said);
    let kind = redact::identifier(&said.kind, None).unwrap_or_default();
    AiError::new(code, format!("an error in the stream, type `{kind}`"))
        .with_wait(said.wait)
        .with_provider_message(redact::message(&said.message, None))
        .having_taken(said.usage.known())
}

/// Whether a request was refused because the model has no temperature to set: "Unsupported value:
/// 'temperature' does not support 0.2 with this model", "`temperature` is deprecated for this model".
/// One that is out of bounds is another matter.
pub(super) fn refuses_temperature(said: &str) -> bool {
    let said = said.to_lowercase();
    let why = [
        "unsupported",
        "not support",
        "deprecated",
        "may only be set to 1",
    ];
    said.contains("temperature") && why.iter().any(|it| said.contains(it))
}

/// The status that an error of Anthropic's would have had before the stream began; 500 for what is
/// not known.
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "permission_error" => 403,
        "not_found_error" => 404,
        "timeout_error" => 408,
        "request_too_large" => 413,
        _ => 500,
    }
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
    if said.is_one_of(NOT_FOUND) {
        return AiErrorCode::NotFound;
    }
    match status {
        402 => AiErrorCode::NoQuota,
        429 if said.is_of_the_day() => AiErrorCode::NoQuota,
        // Google's words are those of an empty account where only this minute's quota is.
        429 if said.wait.is_some() => limited,
        400 | 403 | 429 if said.mentions(NO_QUOTA_PHRASES) => AiErrorCode::NoQuota,
        400 | 403 if said.mentions(FILTERED_PHRASES) => AiErrorCode::ContentFiltered,
        401 | 403 => AiErrorCode::BadKey,
        400 if said.mentions(BAD_KEY_PHRASES) => AiErrorCode::BadKey,
        400 if said.mentions(NOT_FOUND_PHRASES) => AiErrorCode::NotFound,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::*;

    #[test]
    fn what_was_counted_of_a_call_that_failed_is_kept() {
        let taken = |body: &str| {
            let taken = explained(400, body).taken()?;
            Some((taken.input_tokens, taken.output_tokens))
        };
        for (body, expected) in [
            (
                r#"{"error":{"message":"m"},"usage":{"prompt_tokens":7,"completion_tokens":2}}"#,
                Some((7, 2)),
            ),
            (
                r#"{"error":{"message":"m","usage":{"input_tokens":7}}}"#,
                Some((7, 0)),
            ),
            (
                r#"{"error":{"message":"m"},"usageMetadata":{"promptTokenCount":7}}"#,
                Some((7, 0)),
            ),
            (r#"{"error":"m","usage":{"prompt_tokens":0}}"#, None),
            (r#"{"error":{"message":"m"}}"#, None),
            ("no", None),
        ] {
            assert_eq!(taken(body), expected, "{body}");
        }
        let failed = explained(500, r#"{"error":"m","usage":{"prompt_tokens":7}}"#);
        assert_eq!(
            failed.resting(3, None).taken(),
            None,
            "it was not made again"
        );
    }

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
                400,
                r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***90."}"#,
                Code::BadKey,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
                Code::BadKey,
            ),
            (
                429,
                r#"{"code":"Some resource has been exhausted","error":"Your team has either used all available credits or reached its monthly spending limit."}"#,
                Code::NoQuota,
            ),
            // Four ways to say that there is no such model without a 404.
            (
                400,
                r#"{"object":"error","message":"Invalid model: m","type":"invalid_model","param":null,"code":"1500"}"#,
                Code::NotFound,
            ),
            (
                400,
                r#"{"error":{"message":"The model `m` has been decommissioned and is no longer supported.","type":"invalid_request_error","code":"model_decommissioned"}}"#,
                Code::NotFound,
            ),
            (
                400,
                r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
                Code::NotFound,
            ),
            (
                400,
                r#"{"error":{"message":"m is not a valid model ID","code":400}}"#,
                Code::NotFound,
            ),
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
            // Anthropic.
            (
                401,
                r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
                Code::BadKey,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
                Code::NoQuota,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
                Code::ContextTooLong,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
                Code::ContentFiltered,
            ),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Code::Overloaded,
            ),
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#,
                limited,
            ),
            // anthropic 2.14.0 for Python, `EnforcedSpendLimitReachedError` and its like: the type
            // is that of every rate limit.
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                Code::NoQuota,
            ),
            (
                402,
                r#"{"type":"error","error":{"type":"billing_error","message":"m"}}"#,
                Code::NoQuota,
            ),
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"ramp_limit_exceeded"}}}"#,
                limited,
            ),
            // litellm 1.110.2, `ExceptionCheckers`: what servers say that have no code for it.
            (
                400,
                r#"{"error":{"message":"The prompt (9000 tokens) is longer than the model's context length of 8192 tokens."}}"#,
                Code::ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","code":"invalid_prompt"}}"#,
                Code::ContentFiltered,
            ),
            // Google.
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
                Code::BadKey,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}]"#,
                Code::ContextTooLong,
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#,
                Code::RateLimited {
                    retry_after: Some(Duration::from_millis(34_500)),
                },
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]},{"retryDelay":"34s"}]}}"#,
                Code::NoQuota,
            ),
            (
                503,
                r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
                Code::Overloaded,
            ),
            // Azure.
            (
                401,
                r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
                Code::BadKey,
            ),
            (
                404,
                r#"{"error":{"code":"DeploymentNotFound","message":"no"}}"#,
                Code::NotFound,
            ),
            (
                400,
                r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                Code::ContentFiltered,
            ),
        ] {
            assert_eq!(explained(status, body).code(), code, "{status} {body}");
        }
    }

    #[test]
    fn a_temperature_that_a_model_lacks_is_not_one_out_of_bounds() {
        for said in [
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
            "`temperature` is deprecated for this model.",
            "temperature is not supported when thinking is enabled",
        ] {
            assert!(refuses_temperature(said), "{said}");
        }
        for said in [
            "temperature: range: 0..1",
            "'temperature' must be at most 2",
            "Unsupported value: 'stream'",
        ] {
            assert!(!refuses_temperature(said), "{said}");
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
}
