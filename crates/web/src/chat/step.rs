//! Calls of tools as those see them who look at an answer and do not follow it.

use serde::Serialize;
use serde_json::Value;
use stoa_app::chat::step::{Call, CallState};
use stoa_domain::ToolCallId;
use utoipa::ToSchema;

/// A call of a tool that an answer made between its words.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct StepView {
    /// Which call of the answer: `c1` for the first.
    tool_call_id: String,
    /// After how many characters (Unicode code points) of the content it was made.
    position: usize,
    /// The tool's name.
    tool: String,
    /// How it stands.
    state: StepState,
    /// The arguments.
    input: Value,
    /// What the tool gave: JSON, or a text. Null where it gave nothing.
    output: Option<Value>,
    /// Why it failed, in a sentence.
    error: Option<String>,
    /// Under which id the visitor says whether it may be made, where one was asked.
    approval_id: Option<ToolCallId>,
    /// The host to which it would go, likewise.
    host: Option<String>,
}

/// How a call of a tool stands.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    /// The visitor is asked whether it may be made.
    Asking,
    /// The visitor said yes, and it is being made.
    Approved,
    /// It is being made.
    Running,
    /// The tool gave something.
    Done,
    /// It failed, or nobody said in time that it may be made.
    Failed,
    /// The visitor did not want it.
    Denied,
    /// The answer ended before it did; `error` says what is known of it.
    Abandoned,
}

impl StepView {
    /// A call of the answer with this text.
    pub(crate) fn of(call: Call, content: &str) -> Self {
        let before = &content[..content.floor_char_boundary(call.at)];
        let (state, output, error) = match call.state {
            CallState::Asking => (StepState::Asking, None, None),
            CallState::Approved => (StepState::Approved, None, None),
            CallState::Running => (StepState::Running, None, None),
            CallState::Done(output) => (StepState::Done, Some(output), None),
            CallState::Failed(text) => (StepState::Failed, None, Some(text)),
            CallState::Denied => (StepState::Denied, None, None),
            CallState::Abandoned(known) => (StepState::Abandoned, None, Some(known.to_owned())),
        };
        let (approval_id, host) = call.approval.unzip();
        Self {
            tool_call_id: call.number.to_string(),
            position: before.chars().count(),
            tool: call.tool,
            state,
            input: Value::Object(call.input),
            output,
            error,
            approval_id,
            host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stoa_domain::MessageState;

    #[test]
    fn a_step_stands_where_it_happened() {
        let log = json!([
            {"at": 3, "type": "call_start", "call": 1, "tool": "find"},
            {"at": 3, "type": "call_input", "call": 1, "tool": "find", "input": {"id": 7}},
            {"at": 3, "type": "output", "call": 1, "output": "sent"},
        ]);
        let call = stoa_app::chat::step::calls(&log, MessageState::Complete).remove(0);
        let view = serde_json::to_value(StepView::of(call, "ü!\n\nmore")).unwrap();
        let expected = json!({
            "tool_call_id": "c1", "position": 2, "tool": "find", "state": "done",
            "input": {"id": 7}, "output": "sent", "error": null, "approval_id": null,
            "host": null,
        });
        assert_eq!(view, expected);
    }
}
