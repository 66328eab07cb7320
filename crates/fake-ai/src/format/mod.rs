//! The wire formats that the fake speaks: how each asks, streams, answers whole and fails.

mod anthropic;
mod gemini;
mod openai;

use http::HeaderMap;
use serde_json::{Value, json};

use crate::answer::{Answer, FakeCall};
use crate::behaviour::Behaviour;
use crate::failure::Failure;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Openai,
    /// OpenAI's, with what Azure puts around it.
    Azure,
    Anthropic,
    Gemini,
}

/// An event of a stream.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The event's name, in formats that name them.
    pub(crate) name: Option<&'static str>,
    pub(crate) data: String,
}

impl Frame {
    fn plain(data: &impl ToString) -> Self {
        Self {
            name: None,
            data: data.to_string(),
        }
    }
}

/// What the events of one answer have in common.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) format: Format,
    pub(crate) model: String,
    /// Whether usage is told.
    pub(crate) usage: bool,
}

impl Format {
    /// The header that holds the key, and what stands before it there.
    pub(crate) fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::Openai => ("authorization", "Bearer "),
            Self::Azure => ("api-key", ""),
            Self::Anthropic => ("x-api-key", ""),
            Self::Gemini => ("x-goog-api-key", ""),
        }
    }

    /// What keeps the format's own server from reading a request for an answer.
    pub(crate) fn objection(self, headers: &HeaderMap, request: &Value) -> Option<String> {
        match self {
            Self::Openai | Self::Azure => openai::objection(request),
            Self::Anthropic => anthropic::objection(headers, request),
            Self::Gemini => gemini::objection(request),
        }
    }

    /// The request in OpenAI's words: messages of texts, which of them called tools, the names of the
    /// tools, and whether they may be called.
    pub(crate) fn normal(self, request: &Value) -> Value {
        match self {
            Self::Openai | Self::Azure => openai::normal(request),
            Self::Anthropic => anthropic::normal(request),
            Self::Gemini => gemini::normal(request),
        }
    }

    /// The body of a failing reply.
    pub(crate) fn error(self, failure: Failure, key: Option<&str>, wait: Option<&str>) -> Value {
        match self {
            Self::Openai | Self::Azure => json!({"error": openai::error(failure, key)}),
            Self::Anthropic => anthropic::error(failure),
            Self::Gemini => gemini::error(failure, wait),
        }
    }

    /// The status of a failing reply.
    pub(crate) fn status(self, failure: Failure) -> u16 {
        match (self, failure) {
            (Self::Anthropic, Failure::Quota) | (Self::Gemini, Failure::Status(401)) => 400,
            (Self::Gemini, Failure::Filter) => 200,
            _ => failure.status(),
        }
    }

    /// A whole answer.
    pub(crate) fn whole(self, model: &str, answer: &Answer, behaviour: &Behaviour) -> Value {
        match self {
            Self::Openai | Self::Azure => openai::whole(model, answer, behaviour),
            Self::Anthropic => anthropic::whole(model, answer, behaviour),
            Self::Gemini => gemini::whole(model, answer, behaviour),
        }
    }
}

/// What becomes of each step of an answer.
impl Script {
    pub(crate) fn head(&self, answer: &Answer) -> Vec<Frame> {
        match self.format {
            Format::Openai => vec![openai::head(self)],
            Format::Azure => vec![openai::prompt_filter(), openai::head(self)],
            Format::Anthropic => anthropic::head(self, answer),
            Format::Gemini => vec![gemini::token(self, "")],
        }
    }

    pub(crate) fn thought(&self) -> Frame {
        match self.format {
            Format::Openai | Format::Azure => openai::thought(self),
            Format::Anthropic => anthropic::thought(),
            Format::Gemini => gemini::thought(self),
        }
    }

    pub(crate) fn token(&self, text: &str) -> Frame {
        match self.format {
            Format::Openai | Format::Azure => openai::token(self, text),
            Format::Anthropic => anthropic::token(text),
            Format::Gemini => gemini::token(self, text),
        }
    }

    pub(crate) fn call(&self, index: usize, call: &FakeCall) -> Vec<Frame> {
        match self.format {
            Format::Openai | Format::Azure => openai::call(self, index, call),
            Format::Anthropic => anthropic::call(index, call),
            Format::Gemini => vec![gemini::call(self, call)],
        }
    }

    pub(crate) fn finish(&self, answer: &Answer, behaviour: &Behaviour) -> Vec<Frame> {
        match self.format {
            Format::Openai | Format::Azure => openai::finish(self, answer, behaviour),
            Format::Anthropic => anthropic::finish(self, answer, behaviour),
            Format::Gemini => gemini::finish(self, answer, behaviour),
        }
    }

    pub(crate) fn done(&self) -> Option<Frame> {
        match self.format {
            Format::Openai | Format::Azure => Some(Frame::plain(&"[DONE]")),
            Format::Anthropic => Some(anthropic::named(
                "message_stop",
                &json!({"type": "message_stop"}),
            )),
            Format::Gemini => None,
        }
    }

    pub(crate) fn failure(&self) -> Frame {
        let body = self.format.error(Failure::Status(500), None, None);
        match self.format {
            Format::Anthropic => anthropic::named("error", &body),
            _ => Frame::plain(&body),
        }
    }
}

/// A text in pieces of a few characters, as arguments of calls arrive.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let most = (characters.len() / 8).max(5);
    characters
        .chunks(most)
        .map(|it| it.iter().collect())
        .collect()
}
