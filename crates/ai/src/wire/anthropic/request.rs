//! Requests for answers.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};
use stoa_domain::Provider;
use url::Url;

use super::Dialect;
use crate::error::{AiError, AiErrorCode};
use crate::prices;
use crate::provider::join;
use crate::request::{AnswerFormat, ChatRequest, Endpoint, Message};
use crate::tools::{Tool, ToolCall, ToolChoice, ToolResult};
use crate::wire::Call;
use crate::wire::head::{KeyHeader, accepted, encode, headers};
use crate::wire::sides::{self, Side, Speech, Words};

/// The version of the API that is spoken here.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Anthropic insists on a bound. Where nobody set one, it is the model's own as far as this, which
/// is a long answer for a chat, with what the newer models think before it, and what a runaway one
/// may cost.
const USUAL_OUTPUT_TOKENS: u32 = 16_384;

/// What the oldest models write at most, for those that are not known.
const CAUTIOUS_OUTPUT_TOKENS: u32 = 4_096;

/// Stands where a conversation begins with the bot's words: Anthropic wants the first to be a
/// person's.
const OPENING: &str = "(The conversation begins.)";

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    system: &'a str,
    messages: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
    stream: bool,
}

#[derive(Serialize)]
struct Entry {
    role: &'static str,
    content: Vec<Value>,
}

/// The request for an answer.
pub(crate) fn chat_call(
    dialect: Dialect,
    base: &Url,
    endpoint: &Endpoint,
    request: &ChatRequest,
    streaming: bool,
) -> Result<Call, AiError> {
    let body = Body {
        model: &request.model,
        max_tokens: request
            .max_output_tokens
            .unwrap_or_else(|| usual_output(&request.model)),
        system: &request.system,
        messages: messages(&request.messages),
        // Elsewhere the scale goes to 2.
        temperature: request
            .temperature
            .filter(|_| !dialect.without_temperature)
            .map(|it| it.min(1.0)),
        tools: tools(request),
        tool_choice: tool_choice(request),
        output_config: output_config(request)?,
        stream: streaming,
    };
    Ok(Call {
        url: join(base, &["messages"]),
        headers: head(endpoint, accepted(streaming))?,
        body: Some(encode(&body)?),
    })
}

pub(super) fn head(endpoint: &Endpoint, accept: &'static str) -> Result<HeaderMap, AiError> {
    let mut headers = headers(endpoint, KeyHeader::Named("x-api-key"), accept)?;
    headers.insert("anthropic-version", VERSION);
    Ok(headers)
}

fn usual_output(model: &str) -> u32 {
    prices::model_of(Provider::Anthropic, model)
        .and_then(|it| it.max_output_tokens)
        .map_or(CAUTIOUS_OUTPUT_TOKENS, |it| it.min(USUAL_OUTPUT_TOKENS))
}

const WORDS: Words = Words {
    text,
    call: called,
    result: returned,
};

/// The conversation in turns and without what is empty, since Anthropic refuses anything else.
fn messages(conversation: &[Message]) -> Vec<Entry> {
    let mut speeches = sides::of(conversation, &WORDS);
    if speeches.first().is_none_or(|it| it.side != Side::User) {
        let opening = Speech {
            side: Side::User,
            parts: text(OPENING).into_iter().collect(),
        };
        speeches.insert(0, opening);
    }
    let entry = |speech: Speech| Entry {
        role: match speech.side {
            Side::User => "user",
            Side::Model => "assistant",
        },
        content: speech.parts,
    };
    speeches.into_iter().map(entry).collect()
}

fn text(content: &str) -> Option<Value> {
    let is_blank = content.trim().is_empty();
    (!is_blank).then(|| json!({"type": "text", "text": content}))
}

fn called(call: &ToolCall) -> Value {
    json!({
        "type": "tool_use",
        "id": own_id(&call.id),
        "name": call.name,
        "input": call.input_or_quoted(),
    })
}

fn returned(result: &ToolResult) -> Value {
    let mut block = json!({
        "type": "tool_result",
        "tool_use_id": own_id(&result.call_id),
        "content": result.content,
    });
    if result.is_error {
        block["is_error"] = true.into();
    }
    block
}

/// An id as Anthropic takes it, whoever gave it.
fn own_id(id: &str) -> String {
    let fits = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    id.chars()
        .map(|it| if fits(it) { it } else { '_' })
        .collect()
}

/// The tools that are offered. Where none is, but the conversation has calls, the called ones are
/// named all the same: Anthropic refuses calls of tools that the request does not have.
fn tools(request: &ChatRequest) -> Vec<Value> {
    if !request.tools.is_empty() {
        return request.tools.iter().map(tool).collect();
    }
    let bare = |name: &str| json!({"name": name, "input_schema": {"type": "object"}});
    called_names(request).into_iter().map(bare).collect()
}

fn called_names(request: &ChatRequest) -> BTreeSet<&str> {
    let calls = request.messages.iter().flat_map(Message::calls);
    calls.map(|call| call.name.as_str()).collect()
}

fn tool(tool: &Tool) -> Value {
    let mut described = json!({"name": tool.name, "input_schema": tool.schema});
    if !tool.description.is_empty() {
        described["description"] = tool.description.as_str().into();
    }
    if tool.strict {
        described["strict"] = true.into();
    }
    described
}

fn tool_choice(request: &ChatRequest) -> Option<Value> {
    if request.tools.is_empty() {
        let has_calls = !called_names(request).is_empty();
        return has_calls.then(|| json!({"type": "none"}));
    }
    let mut choice = match &request.tool_choice {
        ToolChoice::Auto if !request.one_call => return None,
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => return Some(json!({"type": "none"})),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    if request.one_call {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}

/// Anthropic holds a model to a schema, and has no JSON without one.
fn output_config(request: &ChatRequest) -> Result<Option<Value>, AiError> {
    match &request.format {
        None => Ok(None),
        Some(AnswerFormat::JsonSchema { schema, .. }) => Ok(Some(
            json!({"format": {"type": "json_schema", "schema": schema}}),
        )),
        Some(AnswerFormat::JsonObject) => Err(AiError::new(
            AiErrorCode::Unsupported,
            "anthropic has no JSON without a schema",
        )),
    }
}

#[cfg(test)]
mod tests {
    use stoa_domain::MessageRole;

    use super::*;

    fn shape(turns: &[Message]) -> Value {
        serde_json::to_value(messages(turns)).unwrap()
    }

    #[test]
    fn roles_alternate_whoever_spoke_in_a_row() {
        let turns = [
            Message::said(MessageRole::Assistant, "Welcome!"),
            Message::said(MessageRole::User, "Hi"),
            Message::said(MessageRole::Assistant, " \n"),
            Message::said(MessageRole::User, "Anybody?"),
            Message::said(MessageRole::Agent, "Me."),
            Message::said(MessageRole::User, "Thanks"),
        ];
        let text = |it: &str| json!({"type": "text", "text": it});
        assert_eq!(
            shape(&turns),
            json!([
                {"role": "user", "content": [text(OPENING)]},
                {"role": "assistant", "content": [text("Welcome!")]},
                {"role": "user", "content": [text("Hi"), text("Anybody?")]},
                {"role": "assistant", "content": [text("Me.")]},
                {"role": "user", "content": [text("Thanks")]},
            ])
        );
    }

    #[test]
    fn calls_and_their_results_are_blocks_of_two_messages() {
        let call = |id: &str, arguments: &str| ToolCall {
            id: id.to_owned(),
            name: "search".to_owned(),
            arguments: arguments.to_owned(),
            signature: None,
        };
        let result = |id: &str, is_error| {
            Message::Returned(ToolResult {
                call_id: id.to_owned(),
                name: "search".to_owned(),
                content: "found".to_owned(),
                is_error,
            })
        };
        let turns = [
            Message::said(MessageRole::User, "Hi"),
            Message::Called {
                content: String::new(),
                calls: vec![call("a.1", r#"{"q":1}"#), call("b", "{")],
            },
            result("a.1", false),
            result("b", true),
        ];
        assert_eq!(
            shape(&turns).as_array().unwrap()[1..],
            json!([
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "a_1", "name": "search", "input": {"q": 1}},
                    {"type": "tool_use", "id": "b", "name": "search", "input": {"invalid_arguments": "{"}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a_1", "content": "found"},
                    {"type": "tool_result", "tool_use_id": "b", "content": "found", "is_error": true},
                ]},
            ])
            .as_array()
            .unwrap()[..]
        );
    }

    #[test]
    fn the_bound_is_the_models_own_as_far_as_is_usual() {
        assert_eq!(usual_output("claude-3-haiku-20240307"), 4_096);
        assert_eq!(usual_output("claude-sonnet-4-5"), USUAL_OUTPUT_TOKENS);
        assert_eq!(usual_output("claude-of-tomorrow"), CAUTIOUS_OUTPUT_TOKENS);
    }
}
