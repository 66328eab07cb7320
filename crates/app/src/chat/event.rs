//! What a listener to an answer is told, in order, each piece with an id to resume from.
//!
//! The ids are positions in the answer itself, not counts of what one process happened to send, so
//! that any replica, or the stored row, can go on where a broken stream ended:
//! `p1, p2, …` for what comes before the text, `t<bytes of text so far>` for the text, with a further
//! `.<steps so far>` once there were steps, and `e1, e2, …` for what comes after it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stoa_domain::{DocumentId, FinishReason, MessageId, SessionId};

use super::step::{Step, TextPart};

/// A passage that an answer may cite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The number by which the text cites it: `1` for `[1]`.
    pub source_id: String,
    /// The document it is from.
    pub document_id: DocumentId,
    /// The document's title, with the heading above the passage where there is one.
    pub title: String,
    /// The document's media type.
    pub media_type: String,
    /// Where the document can be read, when it is on the web.
    pub url: Option<String>,
    /// The passage.
    pub text: String,
    /// Whether the finished answer was drawn from it; every one is offered before the text begins.
    #[serde(default = "is_used")]
    pub used: bool,
}

/// Answers that were stored before this was noted used all of their sources.
const fn is_used() -> bool {
    true
}

/// What an answer took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read by the model; unknown when the provider did not say.
    pub input_tokens: Option<i64>,
    /// Tokens written by the model; unknown when the provider did not say.
    pub output_tokens: Option<i64>,
    /// The model that answered.
    pub model: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// That the answer is no model's, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A stable word.
    pub code: &'static str,
    /// When asking again may help, where that is known.
    pub resets_at: Option<DateTime<Utc>>,
}

/// How an answer failed, as the visitor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable word.
    pub code: &'static str,
    /// A sentence fit to show.
    pub text: String,
    /// Whether sending the question again may help.
    pub retryable: bool,
    /// How long to wait before that, where the provider says.
    pub wait: Option<Duration>,
}

/// One event of an answer's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start {
        /// The answer's id.
        message: MessageId,
        /// Its conversation.
        session: SessionId,
        /// When it began.
        created_at: DateTime<Utc>,
    },
    /// A passage it may cite.
    Source(Source),
    /// Why the answer is no model's.
    Notice(Notice),
    /// The text begins.
    TextStart,
    /// More text.
    TextDelta(TextPart, String),
    /// Something happened between the words.
    Step(Step),
    /// The last part of the text is whole.
    TextEnd(TextPart),
    /// What it took.
    Usage(Usage),
    /// It ended well.
    Finish,
    /// It failed.
    Error(Failure),
    /// Nothing more comes.
    Done,
}

/// A position in an answer's stream: what has been seen up to and with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// How many events before the text.
    pub(super) preamble: usize,
    /// How many bytes of text.
    pub(super) text: usize,
    /// How many steps between its words.
    pub(super) steps: usize,
    /// How many events after the text.
    pub(super) tail: usize,
}

impl Cursor {
    /// The position that an event id names, or `None` when it is none of ours.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (kind, place) = id.split_at_checked(1)?;
        let (number, steps) = match place.split_once('.') {
            Some((number, steps)) if kind == "t" => (number, steps.parse().ok()?),
            _ => (place, 0),
        };
        let number: usize = number.parse().ok()?;
        match kind {
            "p" => Some(Self {
                preamble: number,
                ..Self::default()
            }),
            "t" => Some(Self {
                preamble: usize::MAX,
                text: number,
                steps,
                tail: 0,
            }),
            "e" => Some(Self {
                preamble: usize::MAX,
                text: usize::MAX,
                steps: usize::MAX,
                tail: number,
            }),
            _ => None,
        }
    }

    /// The id of what was seen last, within the text.
    pub(super) const fn text_id(&self) -> EventId {
        EventId::Text {
            bytes: self.text,
            steps: self.steps,
        }
    }
}

/// The id of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventId {
    /// The n-th event before the text, from 1.
    Preamble(usize),
    /// The text up to this byte, and the steps up to this one, from 1.
    Text {
        /// How many bytes.
        bytes: usize,
        /// How many steps.
        steps: usize,
    },
    /// The n-th event after the text, from 1.
    Tail(usize),
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preamble(n) => write!(f, "p{n}"),
            Self::Text { bytes, steps: 0 } => write!(f, "t{bytes}"),
            Self::Text { bytes, steps } => write!(f, "t{bytes}.{steps}"),
            Self::Tail(n) => write!(f, "e{n}"),
        }
    }
}
