//! What replies say, in the words of every format.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::answer::{Ending, Usage};

/// What an event of a stream says, or a whole reply, which says several such things.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// More of the answer.
    Text(String),
    /// The model is at work, though there is nothing to show: reasoning, say.
    Progress,
    /// What the model thinks and does not say. Kept only where it wants to see it again.
    Thought(String),
    /// The model that answers.
    Model(String),
    /// More of a tool call.
    Call(CallPart),
    /// What was used so far.
    Usage(UsagePart),
    /// The model is done; usage may still follow.
    Finish { ending: Ending, raw: Option<String> },
    /// Nothing follows.
    End,
}

/// A piece of a tool call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CallPart {
    /// By what the pieces of a call are recognised, in formats that cut them.
    pub(crate) key: Option<u64>,
    pub(crate) id: Option<String>,
    /// With the first piece.
    pub(crate) name: Option<String>,
    pub(crate) arguments: String,
    pub(crate) signature: Option<String>,
    /// Nothing more comes of this call.
    pub(crate) whole: bool,
}

/// Counts as far as they are known; a later one replaces an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsagePart {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cached: Option<u64>,
}

impl UsagePart {
    pub(crate) fn merge(&mut self, later: Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cached = later.cached.or(self.cached);
    }

    /// What of it is known, if anything is.
    pub(crate) fn known(self) -> Option<Usage> {
        let usage = Usage {
            input_tokens: self.input.unwrap_or(0),
            output_tokens: self.output.unwrap_or(0),
            cached_input_tokens: self.cached,
        };
        (usage.input_tokens > 0 || usage.output_tokens > 0).then_some(usage)
    }

    /// Of everything that was said.
    pub(crate) fn of(parts: &[Part]) -> Self {
        let mut usage = Self::default();
        for part in parts {
            if let Part::Usage(more) = part {
                usage.merge(*more);
            }
        }
        usage
    }

    /// Both counts or none: a missing one is unknown, which is not 0.
    pub(crate) fn counted(self) -> Option<Usage> {
        Some(Usage {
            input_tokens: self.input?,
            output_tokens: self.output?,
            cached_input_tokens: self.cached,
        })
    }
}

/// Reads a count of tokens. One that is no whole number is unknown: no answer is lost for its
/// counts.
pub(crate) fn count<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(value)?;
    Ok(value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|it| it.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    }))
}
