//! The visitor's word on a call that changes something.

use std::sync::Arc;

use stoa_client_db::tool_calls::{self, Decided, Decision};
use stoa_domain::{MessageId, ToolCallId};

use super::{ChatError, active};
use crate::App;
use crate::access::Visitor;

/// Takes the visitor's word on whether a call may be made, once. Whichever process writes the answer
/// hears of it.
///
/// # Errors
/// When there is no such call for this visitor, or nobody asks about it any more.
pub async fn decide(
    app: &Arc<App>,
    visitor: &Visitor,
    message: MessageId,
    call: ToolCallId,
    approved: bool,
) -> Result<(), ChatError> {
    let registered = active(app, visitor).await?;
    let decision = Decision {
        message,
        call,
        token_hash: visitor.token_hash(),
        approved,
        now: app.clock().now(),
    };
    let decided = {
        let connection = app.checkout(&registered).await?;
        tool_calls::decide(&connection, &decision).await?
    };
    match decided {
        None => return Err(ChatError::NotFound),
        Some(Decided::Before) => return Err(ChatError::AlreadyDecided),
        Some(Decided::Now) => {}
    }
    match app.live_answers().find(message) {
        Some(live) => live.decide(),
        None => app.tell_call_decided(message).await,
    }
    Ok(())
}
