//! Requests for answers.

use serde::Serialize;
use serde_json::{Value, json};
use stoa_domain::MessageRole;
use url::Url;

use crate::error::AiError;
use crate::provider::join;
use crate::request::{ChatRequest, Endpoint, Message, Turn};
use crate::tools::{Tool, ToolCall, ToolChoice, ToolResult};
use crate::wire::Call;
use crate::wire::head::{KeyHeader, accepted, encode, headers};

/// The key has a header, so that it stands in no address and no log of one.
pub(super) const KEY: KeyHeader = KeyHeader::Named("x-goog-api-key");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    contents: Vec<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<Value>,
    generation_config: GenerationConfig,
}

#[derive(Serialize)]
struct Content {
    role: &'static str,
    parts: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
}

/// The request for an answer.
pub(crate) fn chat_call(
    base: &Url,
    endpoint: &Endpoint,
    request: &ChatRequest,
    streaming: bool,
) -> Result<Call, AiError> {
    let system = &request.system;
    let body = Body {
        contents: contents(&request.messages),
        system_instruction: (!system.is_empty()).then(|| json!({"parts": [{"text": system}]})),
        tools: tools(&request.tools),
        tool_config: tool_config(request),
        generation_config: GenerationConfig {
            temperature: request.temperature,
            max_output_tokens: request.max_output_tokens,
        },
    };
    let mut url = match streaming {
        true => address(base, &request.model, "streamGenerateContent"),
        false => address(base, &request.model, "generateContent"),
    };
    if streaming {
        url.query_pairs_mut().append_pair("alt", "sse");
    }
    Ok(Call {
        url,
        headers: headers(endpoint, KEY, accepted(streaming))?,
        body: Some(encode(&body)?),
    })
}

/// Where `method` of `model` is. A model may be named with its collection, as Google's lists do.
pub(super) fn address(base: &Url, model: &str, method: &str) -> Url {
    let (collection, name) = model.split_once('/').unwrap_or(("models", model));
    join(base, &[collection, &format!("{name}:{method}")])
}

/// The conversation, with what one side said in a row as one content.
fn contents(conversation: &[Message]) -> Vec<Content> {
    let mut contents: Vec<Content> = Vec::new();
    for message in conversation {
        let (role, parts) = match message {
            Message::Said(Turn { role, content }) => {
                let role = match role {
                    MessageRole::User => "user",
                    MessageRole::Assistant | MessageRole::Agent => "model",
                };
                (role, text(content).into_iter().collect())
            }
            Message::Called { content, calls } => {
                let parts = text(content).into_iter().chain(calls.iter().map(called));
                ("model", parts.collect::<Vec<_>>())
            }
            Message::Returned(result) => ("user", vec![returned(result)]),
        };
        if parts.is_empty() {
            continue;
        }
        match contents.last_mut().filter(|it| it.role == role) {
            Some(last) => last.parts.extend(parts),
            None => contents.push(Content { role, parts }),
        }
    }
    contents
}

fn text(content: &str) -> Option<Value> {
    (!content.is_empty()).then(|| json!({"text": content}))
}

/// Calls and results are matched by name and order, so ids, which Gemini need not have given, are
/// not sent. Its newer models refuse a call of theirs that comes back without its signature.
fn called(call: &ToolCall) -> Value {
    let mut part = json!({"functionCall": {"name": call.name, "args": call.input_or_quoted()}});
    if let Some(signature) = &call.signature {
        part["thoughtSignature"] = signature.as_str().into();
    }
    part
}

fn returned(result: &ToolResult) -> Value {
    let key = if result.is_error { "error" } else { "result" };
    json!({"functionResponse": {"name": result.name, "response": {key: result.content}}})
}

fn tools(tools: &[Tool]) -> Vec<Value> {
    let declarations: Vec<Value> = tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                "parametersJsonSchema": tool.schema,
            })
        })
        .collect();
    match declarations.is_empty() {
        true => Vec::new(),
        false => vec![json!({"functionDeclarations": declarations})],
    }
}

fn tool_config(request: &ChatRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    let config = match &request.tool_choice {
        ToolChoice::Auto => return None,
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    Some(json!({"functionCallingConfig": config}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_by_either_name() {
        let base = Url::parse("https://generativelanguage.googleapis.com/v1beta/").unwrap();
        let root = "https://generativelanguage.googleapis.com/v1beta";
        for (model, path) in [
            (
                "gemini-2.5-flash",
                "models/gemini-2.5-flash:generateContent",
            ),
            (
                "models/gemini-2.5-flash",
                "models/gemini-2.5-flash:generateContent",
            ),
            ("tunedModels/mine", "tunedModels/mine:generateContent"),
            ("a/b/../c?d#e", "a/b%2F..%2Fc%3Fd%23e:generateContent"),
        ] {
            let url = address(&base, model, "generateContent");
            assert_eq!(url.as_str(), format!("{root}/{path}"));
        }
    }

    #[test]
    fn a_conversation_with_tools_keeps_its_order_and_signatures() {
        let call = ToolCall {
            id: "call_0".to_owned(),
            name: "search".to_owned(),
            arguments: r#"{"q":1}"#.to_owned(),
            signature: Some("c2ln".to_owned()),
        };
        let turns = [
            Message::said(MessageRole::User, "Hi"),
            Message::said(MessageRole::User, "there"),
            Message::Called {
                content: "Let me see.".to_owned(),
                calls: vec![call],
            },
            Message::Returned(ToolResult {
                call_id: "call_0".to_owned(),
                name: "search".to_owned(),
                content: "found".to_owned(),
                is_error: false,
            }),
        ];
        assert_eq!(
            serde_json::to_value(contents(&turns)).unwrap(),
            json!([
                {"role": "user", "parts": [{"text": "Hi"}, {"text": "there"}]},
                {"role": "model", "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "search", "args": {"q": 1}}, "thoughtSignature": "c2ln"},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "search", "response": {"result": "found"}}},
                ]},
            ])
        );
    }
}
