//! Answers that came whole, made of the same parts as those that stream.

use crate::answer::Completion;
use crate::answer::Ending;
use crate::error::AiError;
use crate::limits::Limits;
use crate::transport::calls;
use crate::wire::{Part, UsagePart};

impl Completion {
    /// What `parts` say, held to the bounds of an answer that is streamed. The first tool call
    /// without an id gets the number `first_call`.
    pub(crate) fn of(
        parts: Vec<Part>,
        limits: &Limits,
        first_call: usize,
    ) -> Result<Self, AiError> {
        let (mut text, mut model, mut finish) = (String::new(), None, None);
        let (mut usage, mut called, mut thoughts) =
            (UsagePart::default(), Vec::new(), String::new());
        for part in parts {
            match part {
                Part::Text(more) => text.push_str(&more),
                Part::Model(name) => model = Some(name),
                Part::Usage(part) => usage.merge(part),
                Part::Call(part) => called.push(part),
                Part::Thought(more) => thoughts.push_str(&more),
                Part::Finish { ending, raw } => finish = finish.or(Some((ending, raw))),
                Part::Progress | Part::End => {}
            }
        }
        let tool_calls = calls::whole(called, &thoughts, first_call, limits.call_bytes)?;
        let (mut ending, raw_finish_reason) = finish.unwrap_or((Ending::Stop, None));
        if text.len() > limits.answer_bytes {
            text.truncate(text.floor_char_boundary(limits.answer_bytes));
            ending = Ending::Length;
        }
        Ok(Self {
            ending: ending.with_calls(!tool_calls.is_empty()),
            text,
            tool_calls,
            usage: usage.counted(),
            raw_finish_reason,
            model,
        })
    }
}
