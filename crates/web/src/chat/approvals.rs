//! The visitor's word on a call of a tool that changes something.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use stoa_app::{App, chat};
use stoa_domain::{MessageId, ToolCallId};
use utoipa::ToSchema;

use crate::http::body::Body;
use crate::http::caller::Chat;
use crate::http::id::Ids;
use crate::http::problem::{Problem, ProblemDocument};

/// A visitor's word on a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    /// Whether it may be made.
    approved: bool,
}

/// Says whether a call of a tool may be made, for which the answer's stream asked by a
/// `tool-approval-request`. It counts once; an answer waits for it two minutes.
#[utoipa::path(post, path = "/api/chat/v1/messages/{id}/approvals/{approval_id}", tag = "chat",
    params(("id" = MessageId, Path, description = "The answer"),
        ("approval_id" = ToolCallId, Path, description = "The `approvalId` of the request")),
    request_body = Word,
    responses((status = 204), (status = 404, body = ProblemDocument),
        (status = 409, description = "`already_decided`, or nobody waits for it any more", body = ProblemDocument)))]
pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Ids(message, call): Ids<MessageId, ToolCallId>,
    Body(word): Body<Word>,
) -> Result<StatusCode, Problem> {
    chat::decide(&app, &visitor, message, call, word.approved).await?;
    Ok(StatusCode::NO_CONTENT)
}
