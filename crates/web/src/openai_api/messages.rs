//! A conversation as programs give it: who said what, which tools were called, and what they gave.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use stoa_app::completions::{Message, ToolCall, ToolResult, said};
use stoa_domain::MessageRole;
use utoipa::ToSchema;

use super::error::{OpenAiError, require};
use super::tools::{is_name, only_functions};

/// The most messages of one request.
const MOST_MESSAGES: usize = 2_000;
/// The longest id of a call.
const ID_BYTES: usize = 256;

/// One message.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    role: String,
    /// A text, or a list of parts of the type `text`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    content: Option<Value>,
    /// The calls that the model asked for, with the role `assistant`. Each has one message of the
    /// role `tool` after it.
    #[serde(default)]
    tool_calls: Option<Vec<NewCall>>,
    /// With the role `tool`, the call whose result this is.
    #[serde(default)]
    tool_call_id: Option<String>,
    /// Not supported: give `tool_calls`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    function_call: Option<Value>,
}

/// A call that the model asked for.
#[derive(Deserialize, ToSchema)]
struct NewCall {
    /// Its id, as the model's answer had it.
    id: String,
    /// Only `function`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// What was called.
    #[serde(default)]
    function: Option<CalledFunction>,
    /// As the model's answer had it: what its provider wants to see again.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    extra_content: Option<Value>,
}

/// What was called.
#[derive(Deserialize, ToSchema)]
struct CalledFunction {
    /// The tool's name.
    name: String,
    /// The arguments as the model wrote them.
    #[serde(default)]
    arguments: String,
}

/// A conversation, read.
#[derive(Default)]
pub(super) struct Conversation {
    /// What system messages say.
    pub(super) context: Vec<String>,
    pub(super) messages: Vec<Message>,
    /// The calls that wait for their results.
    open: Option<OpenCalls>,
    ids: HashSet<String>,
}

/// Calls of one answer, and the results that there are.
struct OpenCalls {
    field: String,
    calls: Vec<(ToolCall, Option<String>)>,
}

impl Conversation {
    pub(super) fn parse(messages: Vec<NewMessage>) -> Result<Self, OpenAiError> {
        require(
            (1..=MOST_MESSAGES).contains(&messages.len()),
            "messages",
            "Give at least one message, and at most 2,000.",
        )?;
        let mut conversation = Self::default();
        for (index, message) in messages.into_iter().enumerate() {
            conversation.take(message, &format!("messages[{index}]"))?;
        }
        conversation.no_open_calls()?;
        if conversation.messages.is_empty() {
            // Programs that have one text send it under this role; it is what is to be answered.
            let last = conversation.context.pop().unwrap_or_default();
            conversation.messages.push(said(MessageRole::User, last));
        }
        Ok(conversation)
    }

    fn take(&mut self, message: NewMessage, field: &str) -> Result<(), OpenAiError> {
        let text = text(message.content, field)?;
        if message.function_call.is_some() {
            return Err(OpenAiError::unsupported(
                &format!("{field}.function_call"),
                "“function_call” is not supported. Give “tool_calls”.",
            ));
        }
        if message.role == "tool" {
            return self.take_result(message.tool_call_id, text, field);
        }
        self.no_open_calls()?;
        match message.role.as_str() {
            "system" | "developer" => self.context.push(text),
            "user" => self.messages.push(said(MessageRole::User, text)),
            "assistant" => match message.tool_calls.filter(|it| !it.is_empty()) {
                None => self.messages.push(said(MessageRole::Assistant, text)),
                Some(calls) => return self.take_calls(text, calls, field),
            },
            "function" => {
                return Err(OpenAiError::unsupported(
                    &format!("{field}.role"),
                    "The role “function” is not supported. Give “tool”.",
                ));
            }
            _ => {
                return Err(OpenAiError::invalid(
                    Some(&format!("{field}.role")),
                    "A role is system, developer, user, assistant or tool.",
                ));
            }
        }
        Ok(())
    }

    fn take_calls(
        &mut self,
        content: String,
        calls: Vec<NewCall>,
        field: &str,
    ) -> Result<(), OpenAiError> {
        let mut read = Vec::new();
        for (index, call) in calls.into_iter().enumerate() {
            let field = format!("{field}.tool_calls[{index}]");
            let call = call.parse(&field)?;
            let is_new = self.ids.insert(call.id.clone());
            require(is_new, &format!("{field}.id"), "Another call has this id.")?;
            read.push(call);
        }
        self.open = Some(OpenCalls {
            field: format!("{field}.tool_calls"),
            calls: read.iter().cloned().map(|call| (call, None)).collect(),
        });
        self.messages.push(Message::Called {
            content,
            calls: read,
        });
        Ok(())
    }

    /// Results may come in any order, and are put into that of their calls.
    fn take_result(
        &mut self,
        id: Option<String>,
        content: String,
        field: &str,
    ) -> Result<(), OpenAiError> {
        let field = format!("{field}.tool_call_id");
        let Some(id) = id else {
            let message = "A message of the role “tool” says of which call it is the result.";
            return Err(OpenAiError::invalid(Some(&field), message));
        };
        let open = self.open.iter_mut().flat_map(|it| &mut it.calls);
        let found = open
            .into_iter()
            .find(|(call, result)| call.id == id && result.is_none());
        let Some((_, result)) = found else {
            let message = match self.ids.contains(&id) {
                true => "This call has its result already.",
                false => "No call before this message has this id.",
            };
            return Err(OpenAiError::invalid(Some(&field), message));
        };
        *result = Some(content);
        if let Some(open) = self.open.take_if(|it| it.unanswered().next().is_none()) {
            self.messages.extend(open.calls.into_iter().map(returned));
        }
        Ok(())
    }

    fn no_open_calls(&self) -> Result<(), OpenAiError> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let ids: Vec<&str> = open.unanswered().collect();
        Err(OpenAiError::invalid(
            Some(&open.field),
            format!(
                "Each call is followed by a message of the role “tool” with its result. These have none: {}.",
                ids.join(", ")
            ),
        ))
    }
}

impl OpenCalls {
    fn unanswered(&self) -> impl Iterator<Item = &str> {
        let open = self.calls.iter().filter(|(_, result)| result.is_none());
        open.map(|(call, _)| call.id.as_str())
    }
}

fn returned((call, result): (ToolCall, Option<String>)) -> Message {
    Message::Returned(ToolResult {
        call_id: call.id,
        name: call.name,
        content: result.unwrap_or_default(),
        is_error: false,
    })
}

impl NewCall {
    fn parse(self, field: &str) -> Result<ToolCall, OpenAiError> {
        only_functions(self.kind.as_deref(), field)?;
        let id_fits = (1..=ID_BYTES).contains(&self.id.len());
        require(id_fits, &format!("{field}.id"), "An id has 1 to 256 bytes.")?;
        let missing = || OpenAiError::invalid(Some(field), "Give “function” with a “name”.");
        let function = self.function.ok_or_else(missing)?;
        let message = "A name is 1 to 64 letters, digits, “_” and “-”.";
        let name = format!("{field}.function.name");
        require(is_name(&function.name), &name, message)?;
        let extra = self.extra_content.unwrap_or_default();
        Ok(ToolCall {
            id: self.id,
            name: function.name,
            arguments: function.arguments,
            signature: extra["google"]["thought_signature"]
                .as_str()
                .map(str::to_owned),
        })
    }
}

/// A message's text: as it stands, or its text parts one after another.
fn text(content: Option<Value>, field: &str) -> Result<String, OpenAiError> {
    let field = format!("{field}.content");
    let text = match content {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            let numbered = parts.iter().enumerate();
            let texts = numbered.map(|(index, part)| part_text(part, index, &field));
            texts.collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        Some(_) => {
            let message = "Content is a text or a list of text parts.";
            return Err(OpenAiError::invalid(Some(&field), message));
        }
    };
    // The bot looks for it in a database, which has none.
    let message = "It contains a NUL character (\\u0000). Leave it out.";
    require(!text.contains('\0'), &field, message)?;
    Ok(text)
}

fn part_text<'a>(part: &'a Value, index: usize, field: &str) -> Result<&'a str, OpenAiError> {
    let param = format!("{field}[{index}]");
    match (part["type"].as_str(), &part["text"], &part["refusal"]) {
        (Some("text"), Value::String(text), _) | (Some("refusal"), _, Value::String(text)) => {
            Ok(text)
        }
        (Some("image_url" | "input_audio" | "file"), ..) => Err(OpenAiError::unsupported(
            &param,
            "Only text is read: no images, sound or files.",
        )),
        _ => Err(OpenAiError::invalid(
            Some(&param),
            "Give parts of the type “text”.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(messages: Value) -> Result<Vec<Message>, String> {
        let messages = serde_json::from_value(messages).unwrap();
        let document = |error: OpenAiError| serde_json::to_value(error.document()).unwrap();
        let param = |error| {
            document(error)["error"]["param"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let read = Conversation::parse(messages);
        read.map(|it| it.messages).map_err(param)
    }

    fn call(id: &str) -> Value {
        json!({"id": id, "type": "function", "function": {"name": "search", "arguments": "{}"}})
    }

    fn result(id: &str, content: &str) -> Value {
        json!({"role": "tool", "tool_call_id": id, "content": content})
    }

    fn calls(calls: &[Value]) -> Value {
        json!({"role": "assistant", "content": null, "tool_calls": calls})
    }

    #[test]
    fn results_stand_in_the_order_of_their_calls() {
        let mut signed = call("b");
        signed["extra_content"] = json!({"google": {"thought_signature": "c2ln"}});
        let messages = read(json!([
            {"role": "user", "content": "a"},
            calls(&[call("a"), signed]),
            result("b", "second"),
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "first"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]))
        .unwrap();
        let Message::Called { calls, content } = &messages[1] else {
            unreachable!("calls: {messages:?}");
        };
        assert_eq!((content.as_str(), calls.len()), ("", 2));
        assert_eq!(calls[1].signature.as_deref(), Some("c2ln"));
        let results: Vec<_> = messages[2..4]
            .iter()
            .map(|message| match message {
                Message::Returned(result) => (result.call_id.as_str(), result.content.as_str()),
                other => unreachable!("a result: {other:?}"),
            })
            .collect();
        assert_eq!(results, [("a", "first"), ("b", "second")]);
        assert_eq!(messages[4], said(MessageRole::Assistant, "No."));
    }

    #[test]
    fn calls_and_results_that_do_not_match_are_named() {
        let user = json!({"role": "user", "content": "a"});
        let mut no_id = result("a", "x");
        no_id["tool_call_id"].take();
        let with = |field: &str, value: Value| {
            let mut call = call("a");
            call[field] = value;
            calls(&[call])
        };
        for (messages, param) in [
            (json!([user, result("a", "x")]), "messages[1].tool_call_id"),
            (
                json!([user, calls(&[call("a")]), result("b", "x")]),
                "messages[2].tool_call_id",
            ),
            (
                json!([user, calls(&[call("a")]), no_id]),
                "messages[2].tool_call_id",
            ),
            (
                json!([
                    user,
                    calls(&[call("a")]),
                    result("a", "x"),
                    result("a", "y")
                ]),
                "messages[3].tool_call_id",
            ),
            (
                json!([user, calls(&[call("a"), call("a")])]),
                "messages[1].tool_calls[1].id",
            ),
            (
                json!([
                    user,
                    calls(&[call("a")]),
                    result("a", "x"),
                    calls(&[call("a")])
                ]),
                "messages[3].tool_calls[0].id",
            ),
            (json!([user, calls(&[call("a")])]), "messages[1].tool_calls"),
            (
                json!([user, calls(&[call("a"), call("b")]), result("b", "x"), user]),
                "messages[1].tool_calls",
            ),
            (
                json!([user, with("id", json!(""))]),
                "messages[1].tool_calls[0].id",
            ),
            (
                json!([user, with("type", json!("custom"))]),
                "messages[1].tool_calls[0].type",
            ),
            (
                json!([user, with("function", json!(null))]),
                "messages[1].tool_calls[0]",
            ),
            (
                json!([user, with("function", json!({"name": "a b"}))]),
                "messages[1].tool_calls[0].function.name",
            ),
            (
                json!([user, {"role": "assistant", "function_call": {"name": "a", "arguments": ""}}]),
                "messages[1].function_call",
            ),
            (
                json!([user, {"role": "function", "name": "a", "content": "x"}]),
                "messages[1].role",
            ),
        ] {
            assert_eq!(read(messages.clone()).unwrap_err(), param, "{messages}");
        }
    }
}
