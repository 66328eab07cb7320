//! A conversation as two sides that take turns, for formats that want it so.

use serde_json::Value;
use stoa_domain::MessageRole;

use crate::request::{Message, Turn};
use crate::tools::{ToolCall, ToolResult};

/// Who speaks to a model, and the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// People, and what tools gave.
    User,
    /// The model, and people who spoke in its place.
    Model,
}

/// What one side said in a row.
#[derive(Debug, PartialEq)]
pub(super) struct Speech {
    pub(super) side: Side,
    /// In the format's own words, never empty.
    pub(super) parts: Vec<Value>,
}

/// How a format writes what a conversation is made of.
pub(super) struct Words {
    /// A text; nothing for one that the format does not take, such as an empty one.
    pub(super) text: fn(&str) -> Option<Value>,
    pub(super) call: fn(&ToolCall) -> Value,
    pub(super) result: fn(&ToolResult) -> Value,
}

/// The conversation, with what one side said in a row as one speech, and without what says nothing.
pub(super) fn of(conversation: &[Message], words: &Words) -> Vec<Speech> {
    let mut speeches: Vec<Speech> = Vec::new();
    for message in conversation {
        let (side, parts) = said(message, words);
        if parts.is_empty() {
            continue;
        }
        match speeches.last_mut().filter(|it| it.side == side) {
            Some(last) => last.parts.extend(parts),
            None => speeches.push(Speech { side, parts }),
        }
    }
    speeches
}

fn said(message: &Message, words: &Words) -> (Side, Vec<Value>) {
    let text = |content: &str| (words.text)(content).into_iter();
    match message {
        Message::Said(Turn { role, content }) => {
            let side = match role {
                MessageRole::User => Side::User,
                MessageRole::Assistant | MessageRole::Agent => Side::Model,
            };
            (side, text(content).collect())
        }
        Message::Called { content, calls } => {
            let calls = calls.iter().map(words.call);
            (Side::Model, text(content).chain(calls).collect())
        }
        Message::Returned(result) => (Side::User, vec![(words.result)(result)]),
    }
}
