//! Turns of a conversation as models are given them: the one place here that knows their shape.

use stoa_ai::{Message, Turn};
use stoa_domain::MessageRole;

/// Somebody said something.
#[must_use]
pub fn said(role: MessageRole, content: impl Into<String>) -> Message {
    Message::said(role, content)
}

/// What was said, or what a tool gave.
pub(crate) fn words(message: &Message) -> &str {
    match message {
        Message::Said(turn) => &turn.content,
        Message::Called { content, .. } => content,
        Message::Returned(result) => &result.content,
    }
}

/// All that a model reads of it, calls of tools included.
pub(crate) fn texts(message: &Message) -> impl Iterator<Item = &str> {
    let calls = match message {
        Message::Called { calls, .. } => calls.as_slice(),
        Message::Said(_) | Message::Returned(_) => &[],
    };
    let called = calls
        .iter()
        .flat_map(|call| [call.name.as_str(), call.arguments.as_str()]);
    std::iter::once(words(message)).chain(called)
}

/// Whether it is what somebody asked, with which a turn of the conversation begins.
pub(crate) fn is_question(message: &Message) -> bool {
    let role = match message {
        Message::Said(Turn { role, .. }) => *role,
        Message::Called { .. } | Message::Returned(_) => return false,
    };
    role == MessageRole::User
}
