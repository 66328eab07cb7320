//! Answers, streamed and whole: a chunk of a stream has the shape of a whole answer.

use serde::Deserialize;
use serde_json::Value;

use crate::answer::Ending;
use crate::error::{AiError, AiErrorCode};
use crate::redact;
use crate::wire::{CallPart, Part, Said, UsagePart, count, failures};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    #[serde(default)]
    candidates: Option<Vec<Candidate>>,
    #[serde(default)]
    prompt_feedback: Option<Feedback>,
    #[serde(default)]
    usage_metadata: Option<UsageBody>,
    #[serde(default)]
    model_version: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Option<Vec<ContentPart>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContentPart {
    #[serde(default)]
    text: Option<String>,
    /// What the text is a thought of, and no part of the answer.
    #[serde(default)]
    thought: bool,
    #[serde(default)]
    function_call: Option<FunctionCall>,
    #[serde(default)]
    thought_signature: Option<String>,
}

#[derive(Deserialize)]
struct FunctionCall {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    #[serde(default)]
    block_reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageBody {
    #[serde(default, deserialize_with = "count")]
    prompt_token_count: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    candidates_token_count: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    thoughts_token_count: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cached_content_token_count: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    tool_use_prompt_token_count: Option<u64>,
}

impl From<UsageBody> for UsagePart {
    /// Thoughts are paid for as output and counted apart, and so is what tools of Google's gave.
    fn from(body: UsageBody) -> Self {
        let written = [body.candidates_token_count, body.thoughts_token_count];
        let known = written.iter().any(Option::is_some);
        let sum = written.into_iter().flatten().fold(0, u64::saturating_add);
        Self {
            input: body
                .prompt_token_count
                .map(|it| it.saturating_add(body.tool_use_prompt_token_count.unwrap_or_default())),
            output: known.then_some(sum),
            cached: body.cached_content_token_count,
        }
    }
}

/// Reads one event of a stream.
pub(crate) fn decode_event(data: &str, parts: &mut Vec<Part>) -> Result<(), AiError> {
    let reply: Reply = serde_json::from_str(data)
        .map_err(|_| AiError::protocol("an event of the stream is not of Gemini's shape"))?;
    reply.decode(parts).map(|_| ())
}

/// An answer that came whole, or all the pieces of one in a list: how a stream comes from a server
/// that passes over `alt=sse`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Whole {
    One(Box<Reply>),
    Pieces(Vec<Reply>),
}

/// Reads an answer that came whole.
pub(crate) fn decode_whole(body: &[u8], parts: &mut Vec<Part>) -> Result<(), AiError> {
    let shape = || AiError::protocol("the answer is not of Gemini's shape");
    let replies = match serde_json::from_slice(body).map_err(|_| shape())? {
        Whole::One(reply) => vec![*reply],
        Whole::Pieces(replies) => replies,
    };
    let mut has_candidate = false;
    for reply in replies {
        has_candidate |= reply.decode(parts)?;
    }
    has_candidate.then_some(()).ok_or_else(shape)
}

impl Reply {
    /// Says what it says, and whether it has a candidate at all.
    fn decode(self, parts: &mut Vec<Part>) -> Result<bool, AiError> {
        let usage = self.usage_metadata.map(|it| Part::Usage(it.into()));
        if let Some(error) = &self.error {
            parts.extend(usage);
            return Err(failures::in_stream(&Said::of(error)));
        }
        if let Some(reason) = self.prompt_feedback.and_then(|it| it.block_reason) {
            parts.extend(usage);
            let reason = redact::identifier(&reason, None).unwrap_or_default();
            let detail = format!("the prompt was blocked, reason {reason}");
            return Err(AiError::new(AiErrorCode::ContentFiltered, detail));
        }
        parts.extend(self.model_version.map(Part::Model));
        let candidate = self.candidates.unwrap_or_default().into_iter().next();
        let has_candidate = candidate.is_some();
        let finished = candidate.map_or(Ok(()), |it| it.decode(parts));
        parts.extend(usage);
        finished.map(|()| has_candidate)
    }
}

impl Candidate {
    fn decode(self, parts: &mut Vec<Part>) -> Result<(), AiError> {
        let said = self.content.and_then(|it| it.parts).unwrap_or_default();
        parts.extend(said.into_iter().filter_map(ContentPart::into_part));
        if let Some(raw) = self.finish_reason {
            parts.push(Part::Finish {
                ending: ending(&raw)?,
                raw: Some(raw),
            });
        }
        Ok(())
    }
}

impl ContentPart {
    fn into_part(self) -> Option<Part> {
        if let Some(call) = self.function_call {
            return Some(Part::Call(CallPart {
                key: None,
                id: call.id,
                name: Some(call.name),
                arguments: call.args.map(|it| it.to_string()).unwrap_or_default(),
                signature: self.thought_signature,
                whole: true,
            }));
        }
        let text = self.text.filter(|it| !it.is_empty())?;
        Some(match self.thought {
            true => Part::Progress,
            false => Part::Text(text),
        })
    }
}

/// Gemini's reasons (google-genai 3.6.1 for Python, `FinishReason`), of which some say that the
/// model failed.
fn ending(raw: &str) -> Result<Ending, AiError> {
    let failed = |what| Err(AiError::new(AiErrorCode::Interrupted, what));
    match raw {
        "MAX_TOKENS" | "CONTINUATION" => Ok(Ending::Length),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED"
        | "MODEL_ARMOR" => Ok(Ending::ContentFilter),
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" => {
            failed("the model failed at a tool call")
        }
        "MALFORMED_RESPONSE" => failed("the model's answer was malformed"),
        "MISSING_THOUGHT_SIGNATURE" => failed("a call was without its signature"),
        _ => Ok(Ending::Stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(data: &str) -> Result<Vec<Part>, AiError> {
        let mut parts = Vec::new();
        decode_event(data, &mut parts).map(|()| parts)
    }

    #[test]
    fn thoughts_are_progress_and_what_is_not_known_is_skipped() {
        assert_eq!(
            decoded(r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"Grüße"},{"executableCode":{}},{"text":""}]},"index":0,"safetyRatings":[]}],"createTime":"x"}"#).unwrap(),
            [Part::Progress, Part::Text("Grüße".to_owned())]
        );
        for data in [
            "{}",
            r#"{"candidates":null}"#,
            r#"{"candidates":[{}]}"#,
            r#"{"promptFeedback":{}}"#,
        ] {
            assert_eq!(decoded(data).unwrap(), [], "{data}");
        }
        for nonsense in ["{", "[1]", r#"{"candidates":7}"#] {
            let error = decoded(nonsense).unwrap_err();
            assert_eq!(error.code(), AiErrorCode::Protocol, "{nonsense}");
        }
    }

    #[test]
    fn every_finish_reason_has_its_meaning_and_keeps_its_word() {
        for (word, ending) in [
            ("STOP", Ending::Stop),
            ("MAX_TOKENS", Ending::Length),
            ("SAFETY", Ending::ContentFilter),
            ("RECITATION", Ending::ContentFilter),
            ("PROHIBITED_CONTENT", Ending::ContentFilter),
            ("LANGUAGE", Ending::ContentFilter),
            ("ESCALATION", Ending::ContentFilter),
            ("CONTINUATION", Ending::Length),
            ("OTHER", Ending::Stop),
            ("GALAXY", Ending::Stop),
        ] {
            let data = format!(r#"{{"candidates":[{{"finishReason":"{word}"}}]}}"#);
            let raw = Some(word.to_owned());
            assert_eq!(decoded(&data).unwrap(), [Part::Finish { ending, raw }]);
        }
        for word in [
            "MALFORMED_FUNCTION_CALL",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
        ] {
            let error = decoded(&format!(
                r#"{{"candidates":[{{"finishReason":"{word}"}}]}}"#
            ));
            assert_eq!(
                error.unwrap_err().code(),
                AiErrorCode::Interrupted,
                "{word}"
            );
        }
    }

    #[test]
    fn a_blocked_prompt_and_an_error_in_the_stream_say_so() {
        let error = decoded(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#).unwrap_err();
        assert_eq!(error.code(), AiErrorCode::ContentFiltered);
        assert!(error.detail().contains("SAFETY"));
        let error = decoded(
            r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        );
        assert_eq!(error.unwrap_err().code(), AiErrorCode::Overloaded);
    }

    #[test]
    fn thoughts_count_as_written() {
        let data = r#"{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":5,"thoughtsTokenCount":20,"toolUsePromptTokenCount":3,"totalTokenCount":37}}"#;
        let usage = UsagePart {
            input: Some(12),
            output: Some(25),
            cached: None,
        };
        assert_eq!(decoded(data).unwrap(), [Part::Usage(usage)]);
        let started = decoded(r#"{"usageMetadata":{"promptTokenCount":9}}"#).unwrap();
        assert!(matches!(
            started[..],
            [Part::Usage(UsagePart { output: None, .. })]
        ));
    }

    #[test]
    fn what_a_blocked_prompt_took_is_known() {
        let body =
            r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":9}}"#;
        let error = crate::wire::Wire::Gemini.decode_whole(body.as_bytes());
        let error = error.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::ContentFiltered);
        assert_eq!(error.taken().map(|it| it.input_tokens), Some(9));
    }
}
