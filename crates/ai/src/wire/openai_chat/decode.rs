//! Answers, streamed and whole.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use stoa_domain::FinishReason;

use super::errors;
use crate::answer::{Completion, Usage};
use crate::error::{AiError, AiErrorCode};
use crate::wire::{Part, Said};

/// A chunk of a stream, or a whole completion: they differ only in `delta` and `message`.
/// Everything is optional, since those who copied the format leave things out, and what is not
/// known is skipped.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<UsageBody>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default, alias = "message")]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Cow<'a, str>>,
    /// The thoughts of a reasoning model, by the two names in use. Never shown.
    #[serde(borrow, default, alias = "reasoning")]
    reasoning_content: Option<Cow<'a, str>>,
}

/// Mistral's reasoning models answer in parts, of which only the text is for people.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
struct ContentPart {
    #[serde(default)]
    text: Option<String>,
}

/// Both counts or none: a missing one is unknown, which is not 0.
#[derive(Clone, Copy, Deserialize)]
struct UsageBody {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

impl UsageBody {
    fn counted(self) -> Option<Usage> {
        Some(Usage {
            input_tokens: self.prompt_tokens?,
            output_tokens: self.completion_tokens?,
        })
    }
}

impl Delta<'_> {
    fn into_text(self) -> String {
        let said = match self.content {
            Some(Content::Text(text)) => text.into_owned(),
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|it| it.text).collect(),
            None => String::new(),
        };
        match self.refusal {
            Some(refusal) => said + &refusal,
            None => said,
        }
    }
}

/// Reads one event of a stream.
pub(crate) fn decode_event(data: &str, parts: &mut Vec<Part>) -> Result<(), AiError> {
    if data.trim() == "[DONE]" {
        parts.push(Part::End);
        return Ok(());
    }
    let reply: Reply<'_> = serde_json::from_str(data)
        .map_err(|_| AiError::protocol("an event of the stream is not of OpenAI's shape"))?;
    if let Some(error) = &reply.error {
        return Err(errors::in_stream(&Said::of(error)));
    }
    if let Some(model) = reply.model.filter(|it| !it.is_empty()) {
        parts.push(Part::Model(model.into_owned()));
    }
    // Only one answer is ever asked for.
    if let Some(choice) = reply.choices.unwrap_or_default().into_iter().next() {
        let thinks = |delta: &Delta<'_>| {
            delta
                .reasoning_content
                .as_ref()
                .is_some_and(|it| !it.is_empty())
        };
        if choice.delta.as_ref().is_some_and(thinks) {
            parts.push(Part::Progress);
        }
        let text = choice.delta.map(Delta::into_text).unwrap_or_default();
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        if let Some(raw) = choice.finish_reason.filter(|it| !it.is_empty()) {
            parts.push(Part::Finish {
                reason: finish_reason(&raw)?,
                raw: Some(raw.into_owned()),
            });
        }
    }
    parts.extend(reply.usage.and_then(UsageBody::counted).map(Part::Usage));
    Ok(())
}

/// Reads an answer that came whole.
pub(crate) fn decode_completion(body: &[u8]) -> Result<Completion, AiError> {
    let shape = || AiError::protocol("the answer is not of OpenAI's shape");
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|_| shape())?;
    if let Some(error) = &reply.error {
        return Err(errors::in_stream(&Said::of(error)));
    }
    let choice = reply.choices.unwrap_or_default().into_iter().next();
    let choice = choice.ok_or_else(shape)?;
    let raw = choice.finish_reason.map(Cow::into_owned);
    let finish_reason = raw.as_deref().map(finish_reason).transpose()?;
    Ok(Completion {
        text: choice.delta.map(Delta::into_text).unwrap_or_default(),
        usage: reply.usage.and_then(UsageBody::counted),
        finish_reason: finish_reason.unwrap_or(FinishReason::Stop),
        raw_finish_reason: raw,
        model: reply.model.map(Cow::into_owned),
    })
}

/// The reasons of OpenAI, and those that others have added. One that nobody knows yet ended the
/// answer all the same; its own word is kept beside this. Two of them say that it broke.
fn finish_reason(raw: &str) -> Result<FinishReason, AiError> {
    match raw {
        "length" | "max_tokens" | "model_length" => Ok(FinishReason::Length),
        "content_filter" => Ok(FinishReason::ContentFilter),
        // DeepSeek's word for running out of machines in the middle of an answer.
        "insufficient_system_resource" => Err(AiError::new(
            AiErrorCode::Interrupted,
            "the provider ran out of resources",
        )),
        "error" => Err(AiError::new(
            AiErrorCode::Overloaded,
            "the provider failed in the middle of the answer",
        )),
        _ => Ok(FinishReason::Stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(data: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        decode_event(data, &mut parts).unwrap();
        parts
    }

    #[test]
    fn a_chunk_says_its_text_its_end_and_its_usage() {
        assert_eq!(
            parts(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#),
            []
        );
        assert_eq!(
            parts(
                r#"{"id":"x","model":"m","choices":[{"delta":{"content":"Gr\u00fc\u00dfe"},"finish_reason":null}],"usage":null}"#
            ),
            [Part::Model("m".to_owned()), Part::Text("Grüße".to_owned())]
        );
        assert_eq!(
            parts(r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#),
            [Part::Finish {
                reason: FinishReason::Length,
                raw: Some("length".to_owned())
            }]
        );
        assert_eq!(
            parts(
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#
            ),
            [Part::Usage(Usage {
                input_tokens: 3,
                output_tokens: 4
            })]
        );
        assert_eq!(parts("[DONE]"), [Part::End]);
    }

    #[test]
    fn what_others_made_of_the_format_is_understood() {
        // An event that is nothing of ours, a reasoning model by both names, an answer in parts.
        assert_eq!(parts(r#"{"type":"ping"}"#), []);
        assert_eq!(
            parts(r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#),
            [Part::Progress]
        );
        assert_eq!(
            parts(r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#),
            [Part::Progress]
        );
        assert_eq!(
            parts(
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"Yes"}]}}]}"#
            ),
            [Part::Text("Yes".to_owned())]
        );
        // A count that is missing is unknown, not 0.
        assert_eq!(parts(r#"{"usage":{"prompt_tokens":3}}"#), []);
        assert_eq!(parts(r#"{"error":null,"choices":null}"#), []);
    }

    #[test]
    fn an_unknown_reason_ends_the_answer_and_keeps_its_word() {
        assert_eq!(
            parts(r#"{"choices":[{"finish_reason":"galaxy"}]}"#),
            [Part::Finish {
                reason: FinishReason::Stop,
                raw: Some("galaxy".to_owned())
            }]
        );
    }

    #[test]
    fn an_error_in_the_stream_and_nonsense_are_told_apart() {
        let code = |data: &str| decode_event(data, &mut Vec::new()).unwrap_err().code();
        assert_eq!(
            code(r#"{"error":{"message":"slow down","code":429}}"#),
            AiErrorCode::RateLimited { retry_after: None }
        );
        assert_eq!(code(r#"{"error":"boom"}"#), AiErrorCode::Overloaded);
        for nonsense in ["{", "\"text\"", "[1]", r#"{"choices":7}"#, ""] {
            assert_eq!(code(nonsense), AiErrorCode::Protocol, "{nonsense}");
        }
    }
}
