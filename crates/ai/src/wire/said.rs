//! What the body of an error says, whoever wrote it.

use serde_json::Value;

/// The fields of an error body that are worth looking at.
///
/// Understands OpenAI's `{"error": {message, type, param, code}}`, Ollama's `{"error": "…"}`,
/// Mistral's `{message, type, code}`, FastAPI's `{"detail": …}`, and any of them in an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message: String,
    pub(crate) kind: String,
    pub(crate) code: String,
    /// An HTTP status in the body, which counts where an error comes in the middle of a stream.
    pub(crate) status: Option<u16>,
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
        let code = error.get("code");
        Self {
            message: ["message", "detail", "msg"]
                .iter()
                .find_map(|name| error.get(name))
                .map(text_of)
                .unwrap_or_default(),
            kind: error.get("type").map(text_of).unwrap_or_default(),
            code: code.map(text_of).unwrap_or_default(),
            status: [code, error.get("status"), error.get("status_code")]
                .into_iter()
                .flatten()
                .find_map(status_of),
        }
    }

    /// Whether the kind or the code is one of `names`.
    pub(crate) fn is_one_of(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|it| self.kind.eq_ignore_ascii_case(it) || self.code.eq_ignore_ascii_case(it))
    }

    /// Whether the message has one of `phrases`, which are in lower case.
    pub(crate) fn mentions(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|it| message.contains(it))
    }
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
