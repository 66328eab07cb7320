//! What the body of an error says, whoever wrote it.

use std::time::Duration;

use serde_json::Value;

use super::UsagePart;

/// The fields of an error body that are worth looking at.
///
/// Understands OpenAI's `{"error": {message, type, param, code}}`, Ollama's `{"error": "…"}`,
/// Mistral's `{message, type, code}`, FastAPI's `{"detail": …}`, Anthropic's
/// `{"type": "error", "error": {type, message, details: {error_code}}}`, Google's `{"error": {code, message, status,
/// details}}`, and any of them in an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message: String,
    pub(crate) kind: String,
    pub(crate) code: String,
    /// An HTTP status in the body, which counts where an error comes in the middle of a stream.
    pub(crate) status: Option<u16>,
    /// Google's machine-readable reasons and the names of exhausted quotas.
    pub(crate) reasons: Vec<String>,
    /// Google's wait.
    pub(crate) wait: Option<Duration>,
    /// What was counted all the same, beside the error or in it.
    pub(crate) usage: UsagePart,
}

impl Said {
    /// Reads a body; one that is no JSON says nothing.
    pub(crate) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice::<Value>(body)
            .map(|it| Self::of(&it))
            .unwrap_or_default()
    }

    /// Reads an error that is already a value: the body, or what stands under its `error`.
    pub(crate) fn of(value: &Value) -> Self {
        let value = value.get(0).unwrap_or(value);
        let error = value
            .get("error")
            .filter(|it| !it.is_null())
            .unwrap_or(value);
        if let Some(message) = error.as_str() {
            return Self {
                message: message.to_owned(),
                ..Self::default()
            };
        }
        let usage = [value, error].into_iter().find_map(usage_of);
        let code = error.get("code");
        let status_word = error.get("status").and_then(Value::as_str);
        let kind = error.get("type").map(text_of);
        // Anthropic's cause; its `type` is only the broad category.
        let named = error.pointer("/details/error_code");
        let details = error.get("details").and_then(Value::as_array);
        let details = details.map(Vec::as_slice).unwrap_or_default();
        Self {
            reasons: details.iter().flat_map(reasons_of).collect(),
            wait: details.iter().find_map(wait_of),
            usage: usage.unwrap_or_default(),
            message: ["message", "detail", "msg"]
                .iter()
                .find_map(|name| error.get(name))
                .map(text_of)
                .unwrap_or_default(),
            kind: kind
                .or_else(|| status_word.map(str::to_owned))
                .unwrap_or_default(),
            code: code.or(named).map(text_of).unwrap_or_default(),
            status: [code, error.get("status"), error.get("status_code")]
                .into_iter()
                .flatten()
                .find_map(status_of),
        }
    }

    /// Whether the kind, the code or a reason is one of `names`.
    pub(crate) fn is_one_of(&self, names: &[&str]) -> bool {
        let words = [&self.kind, &self.code].into_iter().chain(&self.reasons);
        words
            .into_iter()
            .any(|word| names.iter().any(|it| word.eq_ignore_ascii_case(it)))
    }

    /// Whether a quota of the whole day is used up, by the name that Google gives it.
    pub(crate) fn is_of_the_day(&self) -> bool {
        self.reasons.iter().any(|it| it.contains("PerDay"))
    }

    /// Whether the message has one of `phrases`, which are in lower case.
    pub(crate) fn mentions(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|it| message.contains(it))
    }
}

/// The reason of a `google.rpc.ErrorInfo`, or the quotas of a `google.rpc.QuotaFailure`.
fn reasons_of(detail: &Value) -> Vec<String> {
    let violations = detail.get("violations").and_then(Value::as_array);
    let quotas = violations.into_iter().flatten();
    quotas
        .filter_map(|it| it.get("quotaId"))
        .chain(detail.get("reason"))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The counts of any of the formats.
fn usage_of(value: &Value) -> Option<UsagePart> {
    let usage = value.get("usage").or_else(|| value.get("usageMetadata"))?;
    let count = |names: [&str; 3]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    Some(UsagePart {
        input: count(["prompt_tokens", "input_tokens", "promptTokenCount"]),
        output: count(["completion_tokens", "output_tokens", "candidatesTokenCount"]),
        cached: None,
    })
}

/// The wait of a `google.rpc.RetryInfo`, such as `34.07s`.
fn wait_of(detail: &Value) -> Option<Duration> {
    let text = detail.get("retryDelay")?.as_str()?;
    let seconds = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn status_of(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    u16::try_from(number)
        .ok()
        .filter(|it| (400..600).contains(it))
}
