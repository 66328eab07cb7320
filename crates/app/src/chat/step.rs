//! What happens between an answer's words: calls of tools, and where the text stops for them.
//!
//! Steps are a log. Each has its place, the byte of the text at which it happened, so that text and
//! steps have one order, live and from the stored row; and they are stored as they stand here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stoa_domain::{MessageState, ToolCallId};

/// A stretch of text without a step in it, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextPart(u32);

impl TextPart {
    /// The first, which every answer has.
    pub const FIRST: Self = Self(1);

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for TextPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => f.write_str("t"),
            number => write!(f, "t{number}"),
        }
    }
}

/// A call's place among those of its answer, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallNumber(pub u16);

impl fmt::Display for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// The text stops.
    TextEnd {
        /// Which.
        part: TextPart,
    },
    /// The text goes on.
    TextStart {
        /// Which.
        part: TextPart,
    },
    /// The model asks for a tool.
    CallStart {
        /// Which call.
        call: CallNumber,
        /// The tool's name.
        tool: String,
    },
    /// With these arguments.
    CallInput {
        /// Which call.
        call: CallNumber,
        /// The tool's name.
        tool: String,
        /// The arguments.
        input: Map<String, Value>,
    },
    /// The visitor is asked whether it may be made.
    Asked {
        /// Which call.
        call: CallNumber,
        /// Under which id the visitor says so.
        approval: ToolCallId,
        /// Where it would go.
        host: String,
    },
    /// The visitor said yes, and it is being made. Stored before it is.
    Approved {
        /// Which call.
        call: CallNumber,
        /// The tool's name.
        tool: String,
        /// The arguments that go out.
        input: Map<String, Value>,
    },
    /// The visitor said no.
    Denied {
        /// Which call.
        call: CallNumber,
    },
    /// The tool gave this.
    Output {
        /// Which call.
        call: CallNumber,
        /// What it gave: JSON, or a text.
        output: Value,
    },
    /// It failed, or was not made.
    Failed {
        /// Which call.
        call: CallNumber,
        /// Why, in a sentence.
        text: String,
    },
}

/// A step at its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// How many bytes of the text came before.
    pub at: usize,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// A call as its steps tell it, for those who look at an answer and do not follow it.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its place among the answer's calls.
    pub number: CallNumber,
    /// How many bytes of the text came before it.
    pub at: usize,
    /// The tool's name.
    pub tool: String,
    /// The arguments.
    pub input: Map<String, Value>,
    /// How it stands.
    pub state: CallState,
    /// Under which id the visitor says whether it may be made, and where it would go, if one was
    /// asked.
    pub approval: Option<(ToolCallId, String)>,
}

/// How a call stands.
#[derive(Clone, Debug, PartialEq)]
pub enum CallState {
    /// The visitor is asked.
    Asking,
    /// The visitor said yes, and it is being made.
    Approved,
    /// It is being made.
    Running,
    /// It gave this.
    Done(Value),
    /// It failed, for this reason.
    Failed(String),
    /// The visitor did not want it.
    Denied,
    /// The answer ended before it did: what is known of it.
    Abandoned(&'static str),
}

/// Of a call for whose yes the answer waited when it ended.
const NOT_MADE: &str = "The answer ended before anybody confirmed this. It was not done.";
/// Of a call that was under way when the answer ended.
const NOT_KNOWN: &str = "The answer ended before this did. Whether it was done is not known.";

impl CallState {
    /// What is known of a call that is open when its answer ends.
    const fn at_the_end(&self) -> Option<&'static str> {
        match self {
            Self::Asking => Some(NOT_MADE),
            Self::Approved | Self::Running => Some(NOT_KNOWN),
            Self::Done(_) | Self::Failed(_) | Self::Denied | Self::Abandoned(_) => None,
        }
    }
}

/// The calls of a stored answer. Those without an outcome go on while it is written.
#[must_use]
pub fn calls(steps: &Value, answer: MessageState) -> Vec<Call> {
    let mut calls = calls_of(&stored(steps));
    if answer == MessageState::Complete {
        for call in &mut calls {
            if let Some(known) = call.state.at_the_end() {
                call.state = CallState::Abandoned(known);
            }
        }
    }
    calls
}

/// The calls that have no outcome where the answer ends here, and what is known of each.
pub(super) fn unfinished(steps: &[Placed]) -> Vec<(CallNumber, &'static str)> {
    let calls = calls_of(steps).into_iter();
    calls
        .filter_map(|call| Some((call.number, call.state.at_the_end()?)))
        .collect()
}

fn calls_of(steps: &[Placed]) -> Vec<Call> {
    let mut calls = Vec::new();
    for placed in steps {
        note(&mut calls, placed.clone());
    }
    calls
}

fn note(calls: &mut Vec<Call>, placed: Placed) {
    let number = match &placed.step {
        Step::TextEnd { .. } | Step::TextStart { .. } => return,
        Step::CallStart { call, .. }
        | Step::CallInput { call, .. }
        | Step::Asked { call, .. }
        | Step::Approved { call, .. }
        | Step::Denied { call }
        | Step::Output { call, .. }
        | Step::Failed { call, .. } => *call,
    };
    if let Step::CallStart { tool, .. } = placed.step {
        calls.push(Call {
            number,
            at: placed.at,
            tool,
            input: Map::new(),
            state: CallState::Running,
            approval: None,
        });
        return;
    }
    let Some(call) = calls.iter_mut().find(|it| it.number == number) else {
        return;
    };
    match placed.step {
        Step::CallInput { input, .. } => call.input = input,
        Step::Asked { approval, host, .. } => {
            call.approval = Some((approval, host));
            call.state = CallState::Asking;
        }
        Step::Approved { .. } => call.state = CallState::Approved,
        Step::Denied { .. } => call.state = CallState::Denied,
        Step::Output { output, .. } => call.state = CallState::Done(output),
        Step::Failed { text, .. } => call.state = CallState::Failed(text),
        Step::TextEnd { .. } | Step::TextStart { .. } | Step::CallStart { .. } => {}
    }
}

/// The steps as they were stored; what cannot be read is left out, since the client's database may
/// hold anything.
pub(super) fn stored(steps: &Value) -> Vec<Placed> {
    serde_json::from_value(steps.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn calls_are_read_from_the_log() {
        let log = json!([
            {"at": 3, "type": "text_end", "part": 1},
            {"at": 3, "type": "call_start", "call": 1, "tool": "find"},
            {"at": 3, "type": "call_input", "call": 1, "tool": "find", "input": {"id": 7}},
            {"at": 3, "type": "call_start", "call": 2, "tool": "refund"},
            {"at": 3, "type": "call_input", "call": 2, "tool": "refund", "input": {}},
            {"at": 3, "type": "asked", "call": 2, "host": "shop.example",
             "approval": "018f0000-0000-7000-8000-000000000000"},
            {"at": 3, "type": "output", "call": 1, "output": {"state": "sent"}},
        ]);
        let open = calls(&log, MessageState::Streaming);
        assert_eq!(open[0].state, CallState::Done(json!({"state": "sent"})));
        assert_eq!(open[0].input, json!({"id": 7}).as_object().unwrap().clone());
        assert_eq!(open[1].state, CallState::Asking);
        assert_eq!(open[1].approval.as_ref().unwrap().1, "shop.example");
        let ended = MessageState::Complete;
        assert_eq!(calls(&log, ended)[1].state, CallState::Abandoned(NOT_MADE));
        assert_eq!(serde_json::to_value(stored(&log)).unwrap(), log);
        assert_eq!(calls(&json!([{"type": "nonsense"}]), ended), []);

        let mut approved = log;
        approved.as_array_mut().unwrap().push(json!(
            {"at": 3, "type": "approved", "call": 2, "tool": "refund", "input": {}}
        ));
        let open = calls(&approved, MessageState::Streaming);
        assert_eq!(open[1].state, CallState::Approved);
        let known = CallState::Abandoned(NOT_KNOWN);
        assert_eq!(calls(&approved, ended)[1].state, known);
        let unfinished = unfinished(&stored(&approved));
        assert_eq!(unfinished, [(CallNumber(2), NOT_KNOWN)]);
    }
}
