//! Requests for answers.

use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::messages::{Entry, messages, response_format, tool_choice, tools};
use super::{Dialect, OutputLimit, address};
use crate::error::AiError;
use crate::request::{ChatRequest, Endpoint};
use crate::wire::Call;
use crate::wire::head::{accepted, encode, headers};

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The request for an answer.
pub(crate) fn chat_call(
    dialect: Dialect,
    base: &Url,
    endpoint: &Endpoint,
    request: &ChatRequest,
    streaming: bool,
) -> Result<Call, AiError> {
    let limit = |field| {
        request
            .max_output_tokens
            .filter(|_| dialect.output_limit == field)
    };
    let body = Body {
        model: &request.model,
        messages: messages(dialect, request),
        temperature: request.temperature.filter(|_| dialect.knows_temperature),
        max_tokens: limit(OutputLimit::MaxTokens),
        max_completion_tokens: limit(OutputLimit::MaxCompletionTokens),
        tools: tools(&request.tools),
        tool_choice: tool_choice(dialect, request),
        parallel_tool_calls: asks_for_one(dialect, request).then_some(false),
        response_format: request.format.as_ref().map(response_format),
        stream: streaming,
        stream_options: (streaming && dialect.asks_for_usage).then_some(StreamOptions {
            include_usage: true,
        }),
    };
    Ok(Call {
        url: address::of(dialect, base, &request.model, &["chat", "completions"]),
        headers: headers(endpoint, dialect.key_header(), accepted(streaming))?,
        body: Some(encode(&body)?),
    })
}

/// Several calls at once are everybody's usual, so only one is asked for, and only where it matters.
fn asks_for_one(dialect: Dialect, request: &ChatRequest) -> bool {
    dialect.knows_one_call && request.one_call && !request.tools.is_empty()
}
