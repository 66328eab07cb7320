//! Messages: asked, streamed, resumed, stopped, rated.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::access::Visitor;
use stoa_app::chat::event::{Cursor, Event, Failure};
use stoa_app::chat::live::Listener;
use stoa_app::chat::{self, Asked, Feedback, Offered, Question, sessions};
use stoa_domain::{MessageId, Rating, SessionId};
use utoipa::{IntoParams, ToSchema};

use super::dto::{MessageView, NoticeView, SourceView, UsageView};
use super::stream;
use crate::http::body::Body;
use crate::http::caller::Chat;
use crate::http::id::Id;
use crate::http::page::{List, PageQuery};
use crate::http::problem::{Problem, ProblemDocument};

/// The longest name that a sender may give a message.
const LONGEST_CLIENT_MESSAGE_ID: usize = 128;

/// The messages of a conversation, oldest first.
#[utoipa::path(get, path = "/api/chat/v1/sessions/{id}/messages", tag = "chat",
    params(("id" = SessionId, Path, description = "The conversation"), PageQuery),
    responses((status = 200, body = List<MessageView>), (status = 404, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(session): Id<SessionId>,
    page: PageQuery,
) -> Result<axum::Json<List<MessageView>>, Problem> {
    let messages = sessions::messages(&app, &visitor, session, &page.request()?).await?;
    Ok(axum::Json(List::from_page(messages)))
}

/// A visitor's message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMessage {
    /// The text, 1 to 16,000 characters.
    content: String,
    /// What the sender calls the message, at most 128 characters: sending it again under the same
    /// name gives the same answer and never a second one.
    client_message_id: Option<String>,
}

/// A whole answer, for those who do not want a stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The answer; null when a person answers this conversation.
    message: Option<MessageView>,
    /// The passages that it was drawn from.
    sources: Vec<SourceView>,
    /// What it took.
    usage: Option<UsageView>,
    /// Why the answer is no model's: a budget is exhausted. Absent else.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<NoticeView>,
}

/// Sends a message and streams the answer (AI SDK UI message stream, version 1), or gives it whole
/// with `Accept: application/json`.
#[utoipa::path(post, path = "/api/chat/v1/sessions/{id}/messages", tag = "chat",
    params(("id" = SessionId, Path, description = "The conversation")),
    request_body = NewMessage,
    responses(
        (status = 200, description = "The answer", content(
            (String = "text/event-stream"), (Answer = "application/json"))),
        (status = 404, body = ProblemDocument),
        (status = 422, body = ProblemDocument),
        (status = 502, description = "No model answered", body = ProblemDocument)))]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(session): Id<SessionId>,
    headers: HeaderMap,
    Body(new): Body<NewMessage>,
) -> Result<Response, Problem> {
    let question = Question {
        content: new.content,
        client_message_id: checked_name(new.client_message_id)?,
        offered: offered(&headers),
    };
    match chat::ask(&app, &visitor, session, question).await? {
        Asked::Answer(listener) => answered(&app, &visitor, &headers, listener).await,
        Asked::HandedOver => {
            let body = Answer {
                message: None,
                sources: Vec::new(),
                usage: None,
                notice: None,
            };
            Ok((StatusCode::ACCEPTED, axum::Json(body)).into_response())
        }
    }
}

/// Answers again to the question of the last answer, which is kept as an earlier version. For one
/// that broke off, or did not help. Sent twice, it gives the same new answer.
#[utoipa::path(post, path = "/api/chat/v1/messages/{id}/regenerate", tag = "chat",
    params(("id" = MessageId, Path, description = "The last answer of the conversation")),
    responses(
        (status = 200, description = "The new answer", content(
            (String = "text/event-stream"), (Answer = "application/json"))),
        (status = 404, body = ProblemDocument),
        (status = 409, description = "It is not the last answer, or not finished", body = ProblemDocument),
        (status = 502, description = "No model answered", body = ProblemDocument)))]
pub(crate) async fn regenerate(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(message): Id<MessageId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listener = chat::regenerate(&app, &visitor, message, offered(&headers)).await?;
    answered(&app, &visitor, &headers, listener).await
}

/// An answer as it was asked for: whole or as a stream.
async fn answered(
    app: &Arc<App>,
    visitor: &Visitor,
    headers: &HeaderMap,
    listener: Listener,
) -> Result<Response, Problem> {
    if !wants_json(headers) {
        return Ok(stream::response(listener));
    }
    let whole = whole(listener).await?;
    let message = sessions::message(app, visitor, whole.message).await?;
    let mut message = MessageView::from(message);
    let answer = Answer {
        sources: message.take_sources(),
        message: Some(message),
        usage: whole.usage,
        notice: whole.notice,
    };
    Ok(axum::Json(answer).into_response())
}

/// What is seen of an answer that is followed to its end.
struct Whole {
    message: MessageId,
    usage: Option<UsageView>,
    notice: Option<NoticeView>,
}

fn checked_name(name: Option<String>) -> Result<Option<String>, Problem> {
    match name {
        Some(name) if name.is_empty() || name.chars().count() > LONGEST_CLIENT_MESSAGE_ID => Err(
            Problem::invalid_field("client_message_id", "1 to 128 characters"),
        ),
        name => Ok(name),
    }
}

/// JSON is given to those who ask for it and not also for a stream.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/event-stream")
}

/// Whoever waits for a whole answer cannot be asked on the way whether a tool may change something.
fn offered(headers: &HeaderMap) -> Offered {
    match wants_json(headers) {
        true => Offered::ReadsOnly,
        false => Offered::All,
    }
}

/// Follows an answer to its end.
async fn whole(mut listener: Listener) -> Result<Whole, Problem> {
    let mut whole = Whole {
        message: listener.message(),
        usage: None,
        notice: None,
    };
    while let Some((_, event)) = listener.next().await {
        match event {
            Event::Usage(seen) => whole.usage = Some(seen.into()),
            Event::Notice(seen) => whole.notice = Some(seen.into()),
            Event::Error(failure) => return Err(failure_problem(&failure)),
            _ => {}
        }
    }
    Ok(whole)
}

/// A failure of the answer as a problem.
pub(crate) fn failure_problem(failure: &Failure) -> Problem {
    let status = match failure.code {
        "ai_overloaded" | "ai_not_configured" | "restarting" | "database_unavailable" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "ai_timeout" => StatusCode::GATEWAY_TIMEOUT,
        "ai_context_too_long" | "ai_content_filtered" => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_GATEWAY,
    };
    Problem::new(status, failure.code, failure.text.clone())
}

/// Stops the answer that is being written, if one is.
#[utoipa::path(post, path = "/api/chat/v1/sessions/{id}/stop", tag = "chat",
    params(("id" = SessionId, Path, description = "The conversation")),
    responses((status = 204), (status = 404, body = ProblemDocument)))]
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(session): Id<SessionId>,
) -> Result<StatusCode, Problem> {
    chat::stop(&app, &visitor, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where to go on with a stream.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// The id of the last event seen, where the header `Last-Event-ID` cannot be sent.
    after: Option<String>,
}

/// Goes on with an answer's stream after the last event seen, or replays a finished one.
#[utoipa::path(get, path = "/api/chat/v1/messages/{id}/stream", tag = "chat",
    params(("id" = MessageId, Path, description = "The answer"), After,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen")),
    responses(
        (status = 200, description = "The rest of the answer", content_type = "text/event-stream", body = String),
        (status = 404, body = ProblemDocument)))]
pub(crate) async fn stream(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(message): Id<MessageId>,
    axum::extract::Query(query): axum::extract::Query<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let header = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let last = header
        .map(str::to_owned)
        .or(query.after)
        .filter(|id| !id.is_empty());
    let cursor = match last {
        None => Cursor::default(),
        Some(id) => Cursor::parse(&id).ok_or_else(|| {
            Problem::invalid_field("after", "the id of an event of this stream, such as t120")
        })?,
    };
    let listener = chat::resume(&app, &visitor, message, cursor).await?;
    Ok(stream::response(listener))
}

/// A visitor's verdict on an answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFeedback {
    /// Whether the answer helped.
    rating: Rating,
    /// Why, in at most 2,000 characters.
    comment: Option<String>,
}

/// Rates an answer; a second verdict replaces the first.
#[utoipa::path(post, path = "/api/chat/v1/messages/{id}/feedback", tag = "chat",
    params(("id" = MessageId, Path, description = "The answer")),
    request_body = NewFeedback,
    responses((status = 204), (status = 404, body = ProblemDocument)))]
pub(crate) async fn feedback(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(message): Id<MessageId>,
    Body(new): Body<NewFeedback>,
) -> Result<StatusCode, Problem> {
    if new
        .comment
        .as_ref()
        .is_some_and(|comment| comment.chars().count() > 2_000)
    {
        return Err(Problem::invalid_field(
            "comment",
            "at most 2,000 characters",
        ));
    }
    let verdict = Feedback {
        rating: new.rating,
        comment: new.comment,
    };
    sessions::rate(&app, &visitor, message, &verdict).await?;
    Ok(StatusCode::NO_CONTENT)
}
