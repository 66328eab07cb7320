//! Requests for answers.

use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};
use stoa_domain::{MessageRole, Provider};
use url::Url;

use crate::error::AiError;
use crate::prices;
use crate::provider::join;
use crate::request::{ChatRequest, Endpoint, Message, Turn};
use crate::tools::{Tool, ToolCall, ToolChoice, ToolResult};
use crate::wire::Call;
use crate::wire::head::{KeyHeader, accepted, encode, headers};

/// The version of the API that is spoken here.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Anthropic insists on a bound. Where nobody set one, it is the model's own as far as this, which
/// is a long answer for a chat and what a runaway one may cost.
const USUAL_OUTPUT_TOKENS: u32 = 8_192;

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
    stream: bool,
}

#[derive(Serialize)]
struct Entry {
    role: &'static str,
    content: Vec<Value>,
}

/// The request for an answer.
pub(crate) fn chat_call(
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
        temperature: request.temperature.map(|it| it.min(1.0)),
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: tool_choice(request),
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

/// The conversation, with what one side said in a row as one message and without what is empty:
/// Anthropic refuses both.
fn messages(conversation: &[Message]) -> Vec<Entry> {
    let mut messages: Vec<Entry> = Vec::new();
    for message in conversation {
        let (role, blocks) = match message {
            Message::Said(Turn { role, content }) => {
                let role = match role {
                    MessageRole::User => "user",
                    MessageRole::Assistant | MessageRole::Agent => "assistant",
                };
                (role, text(content).into_iter().collect())
            }
            Message::Called { content, calls } => {
                let blocks = text(content).into_iter().chain(calls.iter().map(called));
                ("assistant", blocks.collect::<Vec<_>>())
            }
            Message::Returned(result) => ("user", vec![returned(result)]),
        };
        if blocks.is_empty() {
            continue;
        }
        match messages.last_mut().filter(|it| it.role == role) {
            Some(last) => last.content.extend(blocks),
            None => messages.push(Entry {
                role,
                content: blocks,
            }),
        }
    }
    if messages.first().is_none_or(|it| it.role != "user") {
        let opening = Entry {
            role: "user",
            content: text(OPENING).into_iter().collect(),
        };
        messages.insert(0, opening);
    }
    messages
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

fn tool(tool: &Tool) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": tool.schema})
}

fn tool_choice(request: &ChatRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    Some(match &request.tool_choice {
        ToolChoice::Auto => return None,
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    })
}

#[cfg(test)]
mod tests {
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
