//! Answering again: a new version of the last answer, for one that broke off or did not help.

use std::sync::Arc;
use std::time::Instant;

use stoa_client_db::messages::{self, Again, Message, NewVersion};
use stoa_domain::MessageId;

use super::event::Cursor;
use super::live::Listener;
use super::{Asked, Beginning, ChatError, HISTORY, Offered, active, live_or_stored, opened, start};
use crate::App;
use crate::access::Visitor;
use crate::budgets::Payer;
use crate::registry::Registered;

/// Starts a new answer to the question of the last one, which is kept as an earlier version. Asked
/// for again, it gives the version that there is by then. As at a question, `offered` says which tools
/// may be called.
///
/// # Errors
/// When there is no such answer for this visitor, it is not the last one or is being written, the
/// instance is not active, or nobody could say a first word.
pub async fn regenerate(
    app: &Arc<App>,
    visitor: &Visitor,
    message: MessageId,
    offered: Offered,
) -> Result<Listener, ChatError> {
    let started = Instant::now();
    let registered = active(app, visitor).await?;
    let place = app.take_turn(registered.id()).ok_or(ChatError::Busy)?;
    let contents = app.contents(&registered).await?;
    app.note_activity(registered.id()).await?;
    let answer = app.new_id(MessageId::generate);
    let created_at = app.clock().now();
    let version = NewVersion {
        of: message,
        token_hash: visitor.token_hash(),
        answer,
        history: HISTORY,
        now: created_at,
    };
    let begun = {
        let connection = app.checkout(&registered).await?;
        messages::begin_again(&connection, &version).await?
    };
    match begun.ok_or(ChatError::NotFound)? {
        Again::Refused => Err(ChatError::NotTheLastAnswer),
        Again::Newer(newer) => {
            let live = live_or_stored(app, &registered, *newer).await?;
            opened(&live, Cursor::default()).await
        }
        Again::New {
            session,
            end_user,
            question,
            history,
            has_passages,
            known,
        } => {
            let payer = Payer {
                end_user,
                session: Some(session),
                address: visitor.address(),
            };
            let beginning = Beginning {
                session,
                payer,
                answer,
                question,
                offered,
                history,
                has_passages,
                known,
                created_at,
                started,
            };
            start(app, registered, contents, beginning, place).await
        }
    }
}

/// Answers a question that was sent again after nobody could answer it. Where something else has been
/// said since, it stays unanswered.
pub(super) async fn try_anew(
    app: &Arc<App>,
    visitor: &Visitor,
    registered: &Arc<Registered>,
    unanswered: Message,
    offered: Offered,
) -> Result<Asked, ChatError> {
    match regenerate(app, visitor, unanswered.id, offered).await {
        Err(ChatError::NotTheLastAnswer) => {}
        begun => return begun.map(Asked::Answer),
    }
    let live = live_or_stored(app, registered, unanswered).await?;
    opened(&live, Cursor::default()).await.map(Asked::Answer)
}
