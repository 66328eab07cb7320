//! The conversation and the tools, as OpenAI's chat completions write them.

use serde::Serialize;
use serde_json::{Value, json};
use stoa_domain::MessageRole;

use super::{Dialect, ToolWords};
use crate::request::{AnswerFormat, ChatRequest, Message, Turn};
use crate::tools::{Tool, ToolCall, ToolChoice};

#[derive(Serialize)]
pub(super) struct Entry<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
}

/// Stands for thoughts that nobody has any more; an empty text is refused.
const NO_THOUGHTS: &str = " ";

#[derive(Serialize)]
struct Called<'a> {
    id: String,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// The system prompt and the conversation.
pub(super) fn messages(dialect: Dialect, request: &ChatRequest) -> Vec<Entry<'_>> {
    let plain = |role, content| Entry {
        role,
        content,
        tool_calls: Vec::new(),
        tool_call_id: None,
        reasoning_content: (role == "assistant" && dialect.wants_thoughts).then_some(NO_THOUGHTS),
    };
    let ids = Ids::of(dialect, request);
    let system = (!request.system.is_empty()).then(|| plain("system", request.system.as_str()));
    let turns = request.messages.iter().map(|turn| match turn {
        Message::Said(Turn { role, content }) => match role {
            MessageRole::User => plain("user", content),
            MessageRole::Assistant | MessageRole::Agent => plain("assistant", content),
        },
        Message::Called { content, calls } => Entry {
            tool_calls: calls.iter().map(|call| ids.called(call)).collect(),
            ..thinking(plain("assistant", content), calls)
        },
        Message::Returned(result) => Entry {
            tool_call_id: Some(ids.written(&result.call_id)),
            ..plain("tool", &result.content)
        },
    });
    system.into_iter().chain(turns).collect()
}

/// A message with what the model thought before its calls, where it wants to see that.
fn thinking<'a>(entry: Entry<'a>, calls: &'a [ToolCall]) -> Entry<'a> {
    let thoughts = calls.iter().find_map(ToolCall::thoughts);
    Entry {
        reasoning_content: entry.reasoning_content.map(|none| thoughts.unwrap_or(none)),
        ..entry
    }
}

/// How the ids of calls are written.
struct Ids<'a> {
    /// Every call of the conversation, where the server takes only ids of its own kind.
    renumbered: Option<Vec<&'a str>>,
}

impl<'a> Ids<'a> {
    fn of(dialect: Dialect, request: &'a ChatRequest) -> Self {
        let calls = request.messages.iter().flat_map(Message::calls);
        let is_mistrals =
            |id: &str| id.len() == 9 && id.chars().all(|it| it.is_ascii_alphanumeric());
        let ids: Vec<&str> = calls.map(|call| call.id.as_str()).collect();
        let fit = dialect.tools == ToolWords::Openai || ids.iter().all(|it| is_mistrals(it));
        Self {
            renumbered: (!fit).then_some(ids),
        }
    }

    fn written(&self, id: &str) -> String {
        let place = self.renumbered.as_ref();
        match place.and_then(|ids| ids.iter().position(|it| *it == id)) {
            Some(place) => format!("call{place:05}"),
            None => id.to_owned(),
        }
    }

    fn called<'c>(&self, call: &'c ToolCall) -> Called<'c> {
        Called {
            id: self.written(&call.id),
            r#type: "function",
            function: Function {
                name: &call.name,
                // Several servers parse them and refuse what is empty.
                arguments: match call.arguments.trim() {
                    "" => "{}",
                    _ => &call.arguments,
                },
            },
        }
    }
}

/// The tools that are offered.
pub(super) fn tools(tools: &[Tool]) -> Vec<Value> {
    let tool = |tool: &Tool| {
        let mut function = json!({"name": tool.name, "parameters": tool.schema});
        if !tool.description.is_empty() {
            function["description"] = tool.description.as_str().into();
        }
        if tool.strict {
            function["strict"] = true.into();
        }
        json!({"type": "function", "function": function})
    };
    tools.iter().map(tool).collect()
}

/// Whether they are to be used; nothing where the model decides, which is what all do unasked.
pub(super) fn tool_choice(dialect: Dialect, request: &ChatRequest) -> Option<Value> {
    if request.tools.is_empty() {
        return None;
    }
    Some(match &request.tool_choice {
        ToolChoice::Auto => return None,
        ToolChoice::None => json!("none"),
        ToolChoice::Required if dialect.tools == ToolWords::Mistral => json!("any"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    })
}

/// What the answer is to be, where it is not plain text.
pub(super) fn response_format(format: &AnswerFormat) -> Value {
    match format {
        AnswerFormat::JsonObject => json!({"type": "json_object"}),
        AnswerFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            let mut inner = json!({"name": name, "schema": schema, "strict": strict});
            if let Some(description) = description {
                inner["description"] = description.as_str().into();
            }
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}
