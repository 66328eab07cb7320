//! Turns of a conversation as models are given them: the one place here that knows their shape.

use stoa_ai::Turn;
use stoa_domain::MessageRole;

/// Somebody said something.
#[must_use]
pub fn said(role: MessageRole, content: impl Into<String>) -> Turn {
    Turn {
        role,
        content: content.into(),
    }
}

/// What was said.
pub(crate) fn words(turn: &Turn) -> &str {
    &turn.content
}

/// Whether it is what somebody asked, with which a turn of the conversation begins.
pub(crate) fn is_question(turn: &Turn) -> bool {
    turn.role == MessageRole::User
}
