//! Requests for answers.

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use crate::error::AiError;
use crate::provider::join;
use crate::request::{AnswerFormat, ChatRequest, Endpoint, Message, made_up_number};
use crate::tools::{Tool, ToolCall, ToolChoice, ToolResult};
use crate::wire::Call;
use crate::wire::head::{KeyHeader, accepted, encode, headers};
use crate::wire::sides::{self, Side, Speech, Words};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<Value>,
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
        contents: contents(&request.model, &request.messages),
        system_instruction: (!system.is_empty()).then(|| json!({"parts": [{"text": system}]})),
        tools: tools(&request.tools),
        tool_config: tool_config(request),
        generation_config: GenerationConfig {
            temperature: request.temperature,
            max_output_tokens: request.max_output_tokens,
            response_mime_type: request.format.as_ref().map(|_| "application/json"),
            response_json_schema: match &request.format {
                Some(AnswerFormat::JsonSchema { schema, .. }) => Some(schema.clone()),
                Some(AnswerFormat::JsonObject) | None => None,
            },
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

const WORDS: Words = Words {
    text,
    call: called,
    result: returned,
};

/// The conversation, with what one side said in a row as one content.
fn contents(model: &str, conversation: &[Message]) -> Vec<Content> {
    let content = |mut speech: Speech| {
        let role = match speech.side {
            Side::User => "user",
            Side::Model => "model",
        };
        if wants_signatures(model) {
            sign(&mut speech.parts);
        }
        Content {
            role,
            parts: speech.parts,
        }
    };
    let speeches = sides::of(conversation, &WORDS);
    speeches.into_iter().map(content).collect()
}

/// Whether a model refuses a call of its own that comes back without its signature: from the third
/// generation on.
fn wants_signatures(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let generation = name.strip_prefix("gemini-");
    generation.is_some_and(|it| !it.starts_with(['1', '2']))
}

/// Signs the first call of what the model said in a row, which alone needs it, where its signature
/// is lost or the call was another model's. These are the words for that in Google's guide
/// "Thought signatures", as @ai-sdk/google 3.0.141 sends them.
fn sign(parts: &mut [Value]) {
    let first = parts.iter_mut().find(|it| it["functionCall"].is_object());
    if let Some(call) = first.filter(|it| it["thoughtSignature"].is_null()) {
        call["thoughtSignature"] = "skip_thought_signature_validator".into();
    }
}

fn text(content: &str) -> Option<Value> {
    (!content.is_empty()).then(|| json!({"text": content}))
}

/// Its newer models refuse a call of theirs that comes back without its signature.
fn called(call: &ToolCall) -> Value {
    let mut function = json!({"name": call.name, "args": call.input_or_quoted()});
    if let Some(id) = given_id(&call.id) {
        function["id"] = id.into();
    }
    let mut part = json!({"functionCall": function});
    if let Some(signature) = call.thought_signature() {
        part["thoughtSignature"] = signature.into();
    }
    part
}

fn returned(result: &ToolResult) -> Value {
    let key = if result.is_error { "error" } else { "output" };
    let mut response = json!({"name": result.name, "response": {key: result.content}});
    if let Some(id) = given_id(&result.call_id) {
        response["id"] = id.into();
    }
    json!({"functionResponse": response})
}

/// An id by which a call and its result are matched. Where Gemini gave none, they are matched by
/// name and order, and none is made up for it.
fn given_id(id: &str) -> Option<&str> {
    made_up_number(id).is_none().then_some(id)
}

fn tools(tools: &[Tool]) -> Vec<Value> {
    let declarations: Vec<Value> = tools
        .iter()
        .map(|tool| {
            let mut declared = json!({"name": tool.name, "parametersJsonSchema": tool.schema});
            if !tool.description.is_empty() {
                declared["description"] = tool.description.as_str().into();
            }
            declared
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
    use stoa_domain::MessageRole;

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
            serde_json::to_value(contents("gemini-3.8-flash", &turns)).unwrap(),
            json!([
                {"role": "user", "parts": [{"text": "Hi"}, {"text": "there"}]},
                {"role": "model", "parts": [
                    {"text": "Let me see."},
                    {"functionCall": {"name": "search", "args": {"q": 1}}, "thoughtSignature": "c2ln"},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "search", "response": {"output": "found"}}},
                ]},
            ])
        );
    }

    #[test]
    fn calls_of_others_are_signed_for_models_that_want_it_and_matched_by_their_ids() {
        let call = |id: &str, signature: Option<&str>| ToolCall {
            id: id.to_owned(),
            name: "search".to_owned(),
            arguments: String::new(),
            signature: signature.map(str::to_owned),
        };
        let parts = |model: &str, calls: Vec<ToolCall>| {
            let id = calls[0].id.clone();
            let turns = [
                Message::Called {
                    content: String::new(),
                    calls,
                },
                Message::Returned(ToolResult {
                    call_id: id,
                    name: "search".to_owned(),
                    content: "x".to_owned(),
                    is_error: true,
                }),
            ];
            serde_json::to_value(contents(model, &turns)).unwrap()
        };
        let two = || vec![call("toolu_1", Some("thoughts:hm")), call("b", None)];
        let newer = parts("models/gemini-3.8-flash", two());
        let skip = "skip_thought_signature_validator";
        assert_eq!(newer[0]["parts"][0]["thoughtSignature"], skip);
        assert!(newer[0]["parts"][1]["thoughtSignature"].is_null());
        assert_eq!(newer[0]["parts"][0]["functionCall"]["id"], "toolu_1");
        let response = json!({"id": "toolu_1", "name": "search", "response": {"error": "x"}});
        assert_eq!(newer[1]["parts"][0]["functionResponse"], response);
        let older = parts("gemini-2.5-flash", two());
        assert!(older[0]["parts"][0]["thoughtSignature"].is_null());
        let signed = parts("gemini-flash-latest", vec![call("call_0", Some("c2ln"))]);
        assert_eq!(signed[0]["parts"][0]["thoughtSignature"], "c2ln");
        assert!(signed[0]["parts"][0]["functionCall"]["id"].is_null());
    }
}
