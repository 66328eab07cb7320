//! Answers, streamed and whole.

use serde::Deserialize;
use serde_json::Value;
use stoa_outbound::SseEvent;

use crate::answer::Ending;
use crate::error::AiError;
use crate::wire::{CallPart, Part, Said, UsagePart, count, failures};

/// An event of a stream. The type stands in the data as well as in the event's name; servers that
/// pass the format on leave out the one or the other.
#[derive(Deserialize)]
struct Event {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    content_block: Option<Block>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<UsageBody>,
    #[serde(default)]
    error: Option<Value>,
}

/// A message: empty at the beginning of a stream, or whole.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    content: Option<Vec<Block>>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<UsageBody>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
struct UsageBody {
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
}

impl From<UsageBody> for UsagePart {
    /// What was read is the sum: Anthropic counts what was cached apart.
    fn from(body: UsageBody) -> Self {
        let cached = [
            body.cache_creation_input_tokens,
            body.cache_read_input_tokens,
        ];
        let cached = cached.into_iter().flatten().fold(0, u64::saturating_add);
        Self {
            input: body.input_tokens.map(|it| it.saturating_add(cached)),
            output: body.output_tokens,
            cached: body.cache_read_input_tokens,
        }
    }
}

/// Reads one event of a stream.
pub(crate) fn decode_event(event: &SseEvent, parts: &mut Vec<Part>) -> Result<(), AiError> {
    let read: Event = serde_json::from_str(&event.data)
        .map_err(|_| AiError::protocol("an event of the stream is not of Anthropic's shape"))?;
    let kind = read.kind.as_deref().or(event.kind.as_deref());
    match kind.unwrap_or_default() {
        "message_start" => parts.extend(read.message.into_iter().flat_map(Message::opening)),
        "content_block_start" => {
            parts.extend(read.content_block.and_then(|it| it.beginning(read.index)));
        }
        "content_block_delta" => {
            parts.extend(read.delta.and_then(|it| it.more(read.index)));
        }
        "content_block_stop" => parts.push(Part::Call(CallPart {
            key: read.index,
            whole: true,
            ..CallPart::default()
        })),
        "message_delta" => {
            parts.extend(read.usage.map(|it| Part::Usage(it.into())));
            parts.extend(read.delta.and_then(|it| it.stop_reason).map(finish));
        }
        "message_stop" => parts.push(Part::End),
        "error" => {
            return Err(failures::in_stream(&Said::of(
                &read.error.unwrap_or_default(),
            )));
        }
        // Pings, and what is added.
        _ => {}
    }
    Ok(())
}

/// Reads an answer that came whole.
pub(crate) fn decode_whole(body: &[u8], parts: &mut Vec<Part>) -> Result<(), AiError> {
    let shape = || AiError::protocol("the answer is not of Anthropic's shape");
    let message: Message = serde_json::from_slice(body).map_err(|_| shape())?;
    if let Some(error) = &message.error {
        return Err(failures::in_stream(&Said::of(error)));
    }
    parts.extend(message.model.map(Part::Model));
    for (index, block) in message.content.ok_or_else(shape)?.into_iter().enumerate() {
        parts.extend(block.whole(u64::try_from(index).unwrap_or(u64::MAX)));
    }
    parts.extend(message.usage.map(|it| Part::Usage(it.into())));
    parts.extend(message.stop_reason.map(finish));
    Ok(())
}

impl Message {
    fn opening(self) -> impl Iterator<Item = Part> {
        let model = self.model.map(Part::Model);
        model
            .into_iter()
            .chain(self.usage.map(|it| Part::Usage(it.into())))
    }
}

impl Block {
    /// A block in a stream begins empty, but for a tool's id and name.
    fn beginning(self, index: Option<u64>) -> Option<Part> {
        match self.kind.as_str() {
            "text" => self.text.filter(|it| !it.is_empty()).map(Part::Text),
            "tool_use" => Some(Part::Call(CallPart {
                key: index,
                id: self.id,
                name: self.name,
                ..CallPart::default()
            })),
            "thinking" | "redacted_thinking" => Some(Part::Progress),
            _ => None,
        }
    }

    fn whole(self, index: u64) -> Option<Part> {
        match self.kind.as_str() {
            "tool_use" => Some(Part::Call(CallPart {
                key: Some(index),
                id: self.id,
                name: self.name,
                arguments: self.input.map(|it| it.to_string()).unwrap_or_default(),
                signature: None,
                whole: true,
            })),
            _ => self.beginning(None),
        }
    }
}

impl Delta {
    fn more(self, index: Option<u64>) -> Option<Part> {
        match self.kind.as_deref().unwrap_or_default() {
            "text_delta" => self.text.filter(|it| !it.is_empty()).map(Part::Text),
            "input_json_delta" => Some(Part::Call(CallPart {
                key: index,
                arguments: self.partial_json.unwrap_or_default(),
                ..CallPart::default()
            })),
            "thinking_delta" => Some(Part::Progress),
            _ => None,
        }
    }
}

fn finish(raw: String) -> Part {
    let ending = match raw.as_str() {
        "max_tokens" | "model_context_window_exceeded" => Ending::Length,
        "tool_use" => Ending::ToolCalls,
        "refusal" => Ending::ContentFilter,
        // `end_turn`, `stop_sequence`, `pause_turn`, and those that are added.
        _ => Ending::Stop,
    };
    Part::Finish {
        ending,
        raw: Some(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::AiErrorCode;

    fn decoded(kind: Option<&str>, data: &str) -> Result<Vec<Part>, AiError> {
        let event = SseEvent {
            kind: kind.map(str::to_owned),
            data: data.to_owned(),
        };
        let mut parts = Vec::new();
        decode_event(&event, &mut parts).map(|()| parts)
    }

    #[test]
    fn what_is_not_known_is_skipped() {
        for data in [
            r#"{"type":"ping"}"#,
            r#"{"type":"message_galaxy","delta":{"text":"x"}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}"#,
            r#"{"type":"message_delta","delta":{},"usage":null}"#,
            "{}",
        ] {
            assert_eq!(decoded(None, data).unwrap(), [], "{data}");
        }
        // The name of the event serves where the data has no type.
        assert_eq!(decoded(Some("message_stop"), "{}").unwrap(), [Part::End]);
        for nonsense in ["{", "[1]", "7", r#"{"delta":7}"#] {
            let error = decoded(None, nonsense).unwrap_err();
            assert_eq!(error.code(), AiErrorCode::Protocol, "{nonsense}");
        }
    }

    #[test]
    fn every_stop_reason_has_its_meaning_and_keeps_its_word() {
        for (word, ending) in [
            ("end_turn", Ending::Stop),
            ("stop_sequence", Ending::Stop),
            ("pause_turn", Ending::Stop),
            ("max_tokens", Ending::Length),
            ("model_context_window_exceeded", Ending::Length),
            ("tool_use", Ending::ToolCalls),
            ("refusal", Ending::ContentFilter),
            ("galaxy", Ending::Stop),
        ] {
            let data = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"{word}"}}}}"#);
            let raw = Some(word.to_owned());
            assert_eq!(
                decoded(None, &data).unwrap(),
                [Part::Finish { ending, raw }]
            );
        }
    }

    #[test]
    fn errors_in_the_stream_have_their_codes() {
        let code = |kind: &str| {
            let data = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
            decoded(Some("error"), &data).unwrap_err().code()
        };
        assert_eq!(code("overloaded_error"), AiErrorCode::Overloaded);
        assert_eq!(code("api_error"), AiErrorCode::Overloaded);
        assert_eq!(
            code("rate_limit_error"),
            AiErrorCode::RateLimited { retry_after: None }
        );
        assert_eq!(code("invalid_request_error"), AiErrorCode::Rejected);
        assert_eq!(code("authentication_error"), AiErrorCode::BadKey);
        assert_eq!(code("timeout_error"), AiErrorCode::Timeout);
    }

    #[test]
    fn what_was_cached_counts_as_read() {
        let data = r#"{"type":"message_start","message":{"model":"c","usage":{"input_tokens":3,"cache_creation_input_tokens":10,"cache_read_input_tokens":200,"output_tokens":1}}}"#;
        let usage = UsagePart {
            input: Some(213),
            output: Some(1),
            cached: Some(200),
        };
        assert_eq!(
            decoded(None, data).unwrap(),
            [Part::Model("c".to_owned()), Part::Usage(usage)]
        );
    }
}
