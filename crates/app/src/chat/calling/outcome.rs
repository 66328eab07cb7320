//! What came of a call, as the model and those who look on are told it.

use std::time::Duration;

use serde_json::{Map, Value};
use stoa_tools::Outcome;

use crate::chat::step::{CallNumber, Step};

/// The code of a call to which the visitor said no.
pub(crate) const DENIED: &str = "denied";
/// How long one call takes at most.
const LONGEST_CALL: Duration = Duration::from_secs(20);
/// The most bytes that a model is told of one call.
const MOST_TOLD: usize = 16 * 1024;
/// The most that it is told of all calls of an answer; after that, of each only the beginning.
const MOST_TOLD_IN_ALL: usize = 128 * 1024;
/// What it is told of a call in any case.
const LEAST_TOLD: usize = 1024;

/// The bounds of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// How long it may take; nothing where no time is left.
    pub(crate) time: Duration,
    /// How many bytes of what it gives are told.
    pub(crate) bytes: usize,
}

impl Bounds {
    /// Of each of so many calls, where so much time is left and so much was told before.
    pub(crate) fn of(left: Duration, told: usize, calls: usize) -> Self {
        let share = MOST_TOLD_IN_ALL.saturating_sub(told) / calls.max(1);
        Self {
            time: left.min(LONGEST_CALL),
            bytes: share.clamp(LEAST_TOLD, MOST_TOLD),
        }
    }

    /// The outcome with no more than may be told of it.
    pub(crate) fn cut(self, mut outcome: Outcome) -> Outcome {
        if outcome.content.len() > self.bytes {
            let end = outcome.content.floor_char_boundary(self.bytes);
            outcome.content.truncate(end);
            outcome.content.push_str("\n[The rest is left out.]");
        }
        outcome
    }
}

/// What those who look on are told: JSON where it is an object or a list, else the text; or why there
/// is nothing.
pub(crate) fn shown(outcome: &Outcome) -> Result<Value, String> {
    let text = outcome.content.replace('\0', "");
    if outcome.error.is_some() {
        return Err(text);
    }
    let json = serde_json::from_str(&text).ok();
    let json = json.filter(|it: &Value| it.is_object() || it.is_array());
    Ok(json.map_or(Value::String(text), plain))
}

/// The same as a step.
pub(crate) fn step(call: CallNumber, outcome: &Outcome) -> Step {
    match shown(outcome) {
        Ok(output) => Step::Output { call, output },
        Err(text) => Step::Failed { call, text },
    }
}

/// JSON that PostgreSQL can hold.
fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "")),
        Value::Array(list) => list.into_iter().map(plain).collect(),
        Value::Object(object) => Value::Object(without_nul(object)),
        other => other,
    }
}

/// An object that PostgreSQL can hold.
pub(crate) fn without_nul(object: Map<String, Value>) -> Map<String, Value> {
    let fields = object.into_iter();
    fields
        .map(|(name, value)| (name.replace('\0', ""), plain(value)))
        .collect()
}

pub(crate) fn unknown_tool() -> Outcome {
    Outcome::failed("unknown_tool", "There is no tool of this name.".into())
}

pub(crate) fn no_object() -> Outcome {
    let text =
        "The arguments are no JSON object. Call the tool again with one that fits its schema.";
    Outcome::failed("invalid_arguments", text.into())
}

pub(crate) fn too_many() -> Outcome {
    let text = "This was not called: these were too many calls at once. Call it again if it is \
                still needed.";
    Outcome::failed("too_many_calls", text.into())
}

pub(crate) fn no_time() -> Outcome {
    let text = "This was not called: the tools of this answer have taken too long. Answer with what \
                there is.";
    Outcome::failed("no_time_left", text.into())
}

pub(crate) fn timed_out() -> Outcome {
    Outcome::failed("timeout", "The tool took too long.".into())
}

pub(crate) fn not_kept() -> Outcome {
    let text = "This was not called, because it could not be recorded.";
    Outcome::failed("not_recorded", text.into())
}

pub(crate) fn denied() -> Outcome {
    let text = "The visitor said no to this call, so it was not made. Do not ask for it again unless \
                they want it.";
    Outcome::failed(DENIED, text.into())
}

pub(crate) fn not_confirmed() -> Outcome {
    let text = "This was not done: nobody confirmed it in time.";
    Outcome::failed("not_confirmed", text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_told_is_bounded_and_never_nothing() {
        let bounds = |seconds, told, calls| Bounds::of(Duration::from_secs(seconds), told, calls);
        assert_eq!(bounds(60, 0, 1).bytes, MOST_TOLD);
        assert_eq!(bounds(60, 0, 8).bytes, MOST_TOLD);
        assert_eq!(bounds(60, 100 * 1024, 4).bytes, 7 * 1024);
        assert_eq!(bounds(60, 1 << 30, 8).bytes, LEAST_TOLD);
        assert_eq!(bounds(60, 0, 1).time, LONGEST_CALL);
        assert_eq!(bounds(3, 0, 1).time, Duration::from_secs(3));
        let cut = bounds(60, 1 << 30, 1).cut(Outcome::done("ü".repeat(2_000)));
        assert!(cut.content.starts_with("üü") && cut.content.len() < LEAST_TOLD + 100);
        assert!(cut.content.ends_with("left out.]"));
    }

    #[test]
    fn json_is_shown_as_such_and_holds_no_nul() {
        let call = CallNumber(1);
        let shown = |text: &str| step(call, &Outcome::done(text.to_owned()));
        let output = |output| Step::Output { call, output };
        assert_eq!(
            shown(r#"{"a\u0000": ["b\u0000"]}"#),
            output(json!({"a": ["b"]}))
        );
        assert_eq!(shown("12"), output(json!("12")));
        assert_eq!(shown("{…"), output(json!("{…")));
        let failed = step(call, &Outcome::failed("x", "no\0".into()));
        let text = "no".to_owned();
        assert_eq!(failed, Step::Failed { call, text });
    }
}
