//! Answers, streamed and whole.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::answer::Ending;
use crate::error::{AiError, AiErrorCode};
use crate::wire::{CallPart, Part, Said, UsagePart, count, failures};

/// A chunk of a stream, or a whole completion: they differ only in `delta` and `message`.
/// Everything is optional, since those who copied the format leave things out, and what is not
/// known is skipped.
#[derive(Deserialize)]
struct Reply<'a> {
    /// `error` where the whole is one, as vLLM says it.
    #[serde(borrow, default)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<UsageBody>,
    /// Where Groq reports usage, asked or not.
    #[serde(default)]
    x_groq: Option<Groq>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Groq {
    #[serde(default)]
    usage: Option<UsageBody>,
    /// Why the answer breaks off here.
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
    /// The thoughts of a reasoning model, by the two names in use. Never shown. OpenRouter sends
    /// the one, others send both.
    #[serde(borrow, default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reasoning: Option<Thoughts<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<Called<'a>>>,
}

/// A piece of a tool call in a stream, or the whole of one.
#[derive(Deserialize)]
struct Called<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    /// A text that should be JSON; some give the object itself.
    #[serde(default)]
    arguments: Option<Value>,
}

/// Thoughts, which somebody may give in another shape than a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Thoughts<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(serde::de::IgnoredAny),
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
    #[serde(default)]
    thinking: Option<serde::de::IgnoredAny>,
}

#[derive(Clone, Copy, Deserialize)]
struct UsageBody {
    #[serde(default, deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    completion_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's word for what came from the cache, and Mistral's.
    #[serde(default, alias = "num_cached_tokens", deserialize_with = "count")]
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct CompletionDetails {
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct PromptDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
}

impl From<UsageBody> for UsagePart {
    fn from(body: UsageBody) -> Self {
        let details = body.prompt_tokens_details;
        Self {
            input: body.prompt_tokens,
            output: body
                .completion_tokens
                .map(|it| it.saturating_add(body.thoughts_apart())),
            cached: details
                .and_then(|it| it.cached_tokens)
                .or(body.prompt_cache_hit_tokens),
        }
    }
}

impl UsageBody {
    /// Thoughts that are paid for as output and not counted as such: xAI's, whose total has them.
    fn thoughts_apart(&self) -> u64 {
        let apart = || {
            let thoughts = self.completion_tokens_details?.reasoning_tokens?;
            let counted = self.prompt_tokens?.checked_add(self.completion_tokens?)?;
            (self.total_tokens? == counted.checked_add(thoughts)?).then_some(thoughts)
        };
        apart().unwrap_or(0)
    }
}

impl From<Called<'_>> for CallPart {
    fn from(called: Called<'_>) -> Self {
        let (name, arguments) = match called.function {
            Some(function) => (function.name, function.arguments),
            None => (None, None),
        };
        Self {
            key: called.index,
            id: called.id.map(Cow::into_owned),
            name: name.map(Cow::into_owned),
            arguments: match arguments {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(object) => object.to_string(),
            },
            ..Self::default()
        }
    }
}

impl Delta<'_> {
    fn take_thoughts(&mut self) -> Option<Part> {
        let thoughts = self
            .reasoning_content
            .take()
            .or_else(|| match self.reasoning.take() {
                Some(Thoughts::Text(text)) => Some(text),
                Some(Thoughts::Other(_)) | None => None,
            });
        if let Some(text) = thoughts.filter(|it| !it.is_empty()) {
            return Some(Part::Thought(text.into_owned()));
        }
        match &self.content {
            Some(Content::Parts(parts)) if parts.iter().any(|it| it.thinking.is_some()) => {
                Some(Part::Progress)
            }
            _ => None,
        }
    }

    fn take_text(&mut self) -> String {
        let said = match self.content.take() {
            Some(Content::Text(text)) => text.into_owned(),
            Some(Content::Parts(parts)) => parts.into_iter().filter_map(|it| it.text).collect(),
            None => String::new(),
        };
        match &self.refusal {
            Some(refusal) => said + refusal,
            None => said,
        }
    }
}

/// Reads one event of a stream.
pub(crate) fn decode_event(data: &str, parts: &mut Vec<Part>) -> Result<(), AiError> {
    let reply: Reply<'_> = serde_json::from_str(data)
        .map_err(|_| AiError::protocol("an event of the stream is not of OpenAI's shape"))?;
    if reply.is_error() {
        return Err(failures::in_stream(&Said::parse(data.as_bytes())));
    }
    reply.decode(parts).map(|_| ())
}

/// Reads an answer that came whole.
pub(crate) fn decode_whole(body: &[u8], parts: &mut Vec<Part>) -> Result<(), AiError> {
    let shape = || AiError::protocol("the answer is not of OpenAI's shape");
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(|_| shape())?;
    if reply.is_error() {
        return Err(failures::in_stream(&Said::parse(body)));
    }
    let has_choice = reply.decode(parts)?;
    has_choice.then_some(()).ok_or_else(shape)
}

impl Reply<'_> {
    fn is_error(&self) -> bool {
        self.object.as_deref() == Some("error")
    }

    /// Says what it says, and whether it has a choice at all.
    fn decode(self, parts: &mut Vec<Part>) -> Result<bool, AiError> {
        let elsewhere = self.x_groq.as_ref().and_then(|it| it.usage);
        let usage = self.usage.or(elsewhere).map(|it| Part::Usage(it.into()));
        let groqs = self.x_groq.as_ref().and_then(|it| it.error.as_ref());
        if let Some(error) = self.error.as_ref().or(groqs) {
            parts.extend(usage);
            return Err(failures::in_stream(&Said::of(error)));
        }
        if let Some(model) = self.model.filter(|it| !it.is_empty()) {
            parts.push(Part::Model(model.into_owned()));
        }
        // Only one answer is ever asked for.
        let choice = self.choices.unwrap_or_default().into_iter().next();
        let has_choice = choice.is_some();
        let finished = choice.map_or(Ok(()), |it| it.decode(parts));
        parts.extend(usage);
        finished.map(|()| has_choice)
    }
}

impl Choice<'_> {
    fn decode(self, parts: &mut Vec<Part>) -> Result<(), AiError> {
        if let Some(mut delta) = self.delta {
            parts.extend(delta.take_thoughts());
            let text = delta.take_text();
            if !text.is_empty() {
                parts.push(Part::Text(text));
            }
            let called = delta.tool_calls.unwrap_or_default();
            parts.extend(called.into_iter().map(|it| Part::Call(it.into())));
        }
        if let Some(raw) = self.finish_reason.filter(|it| !it.is_empty()) {
            parts.push(Part::Finish {
                ending: ending(&raw)?,
                raw: Some(raw.into_owned()),
            });
        }
        Ok(())
    }
}

/// The reasons of OpenAI, and those that others have added. One that nobody knows yet ended the
/// answer all the same; its own word is kept beside this. Two of them say that it broke.
fn ending(raw: &str) -> Result<Ending, AiError> {
    match raw {
        "length" | "max_tokens" | "model_length" => Ok(Ending::Length),
        "content_filter" => Ok(Ending::ContentFilter),
        "tool_calls" | "function_call" => Ok(Ending::ToolCalls),
        // DeepSeek's word for running out of machines in the middle of an answer.
        "insufficient_system_resource" => Err(AiError::new(
            AiErrorCode::Interrupted,
            "the provider ran out of resources",
        )),
        "error" => Err(AiError::new(
            AiErrorCode::Overloaded,
            "the provider failed in the middle of the answer",
        )),
        _ => Ok(Ending::Stop),
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
                ending: Ending::Length,
                raw: Some("length".to_owned())
            }]
        );
        assert_eq!(
            parts(
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#
            ),
            [Part::Usage(UsagePart {
                input: Some(3),
                output: Some(4),
                cached: None
            })]
        );
    }

    #[test]
    fn what_others_made_of_the_format_is_understood() {
        // An event that is nothing of ours, a reasoning model by both names, an answer in parts.
        assert_eq!(parts(r#"{"type":"ping"}"#), []);
        assert_eq!(
            parts(r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#),
            [Part::Thought("hm".to_owned())]
        );
        assert_eq!(
            parts(r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#),
            [Part::Thought("hm".to_owned())]
        );
        assert_eq!(
            parts(
                r#"{"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}}]}"#
            ),
            [Part::Thought("hm".to_owned())]
        );
        assert_eq!(
            parts(r#"{"choices":[{"delta":{"reasoning":{"x":1}}}]}"#),
            []
        );
        assert_eq!(
            parts(
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"Yes"}]}}]}"#
            ),
            [Part::Progress, Part::Text("Yes".to_owned())]
        );
        // mistralai 3.7.0 for Python, `FunctionCall`: arguments may be an object.
        let called = parts(
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"D681PevKs","index":0,"function":{"name":"f","arguments":{"a":1}}}]}}]}"#,
        );
        assert!(
            matches!(&called[..], [Part::Call(CallPart { arguments, .. })] if arguments == r#"{"a":1}"#)
        );
        // A count that is missing is unknown, not 0. So is one that is no number.
        assert_eq!(
            parts(r#"{"usage":{"prompt_tokens":"11","completion_tokens":-2,"total_tokens":9.0}}"#),
            [Part::Usage(UsagePart::default())]
        );
        assert_eq!(
            parts(r#"{"usage":{"prompt_tokens":11.0,"completion_tokens":2}}"#),
            [Part::Usage(UsagePart {
                input: Some(11),
                output: Some(2),
                cached: None
            })]
        );
        let partial = parts(r#"{"usage":{"prompt_tokens":3}}"#).remove(0);
        let Part::Usage(partial) = partial else {
            panic!("{partial:?}");
        };
        assert_eq!(partial.counted(), None);
        assert_eq!(parts(r#"{"error":null,"choices":null}"#), []);
    }

    #[test]
    fn what_was_cached_and_thought_is_counted_as_each_says_it() {
        let usage = |body: &str| match &parts(&format!(r#"{{"usage":{body}}}"#))[..] {
            [Part::Usage(usage)] => *usage,
            other => panic!("{other:?}"),
        };
        let counts = |input, output, cached| UsagePart {
            input: Some(input),
            output: Some(output),
            cached: Some(cached),
        };
        // openai 3.57.0 for Python, `CompletionUsage`: thoughts are in `completion_tokens`.
        let openai = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":40}}"#;
        assert_eq!(usage(openai), counts(100, 50, 64));
        // @ai-sdk/xai 3.0.138, `convertXaiChatUsage`: they are not.
        let xai = r#"{"prompt_tokens":100,"completion_tokens":10,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":64},"completion_tokens_details":{"reasoning_tokens":40}}"#;
        assert_eq!(usage(xai), counts(100, 50, 64));
        // @ai-sdk/deepseek 2.0.69, `tokenUsageSchema`.
        let deepseek = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#;
        assert_eq!(usage(deepseek), counts(100, 50, 64));
        // @ai-sdk/mistral 3.0.69, its usage schema.
        let mistral = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"num_cached_tokens":64}"#;
        assert_eq!(usage(mistral), counts(100, 50, 64));
    }

    #[test]
    fn an_unknown_reason_ends_the_answer_and_keeps_its_word() {
        assert_eq!(
            parts(r#"{"choices":[{"finish_reason":"galaxy"}]}"#),
            [Part::Finish {
                ending: Ending::Stop,
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
        // vLLM before 0.10, `ErrorResponse`.
        assert_eq!(
            code(
                r#"{"object":"error","message":"boom","type":"InternalServerError","param":null,"code":500}"#
            ),
            AiErrorCode::Overloaded
        );
        // groq 1.7.0 for Python, `XGroq`.
        assert_eq!(
            code(r#"{"choices":[],"x_groq":{"id":"req_1","error":"over capacity"}}"#),
            AiErrorCode::Overloaded
        );
        for nonsense in ["{", "\"text\"", "[1]", r#"{"choices":7}"#, ""] {
            assert_eq!(code(nonsense), AiErrorCode::Protocol, "{nonsense}");
        }
    }
}
