//! Conversations: looked at, taken over, answered and closed by the client's people.

mod problem;
mod view;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use stoa_app::sessions::SessionFilter;
use stoa_app::{App, sessions};
use stoa_domain::{InstanceAdminId, SessionId, SessionStatus};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::http::body::MaybeBody;
use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::once::Once;
use crate::http::page::{List, PageQuery};
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use view::{ConversationMessageView, ConversationView};

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 200;

/// Adds the routes of conversations.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(list))
        .api(Policy::ClientKey, routes!(get))
        .api(Policy::ClientKey, routes!(messages, reply))
        .api(Policy::ClientKey, routes!(assign))
        .api(Policy::ClientKey, routes!(close))
}

/// Which conversations are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those with this status.
    status: Option<SessionStatus>,
    /// Only those in which this was written, whatever its case; at most 200 characters.
    q: Option<String>,
    /// Only those of this person: our id of them, or the client's own.
    user: Option<String>,
}

impl Wanted {
    fn filter(self) -> Result<SessionFilter, Problem> {
        for (text, field) in [(&self.q, "q"), (&self.user, "user")] {
            let fits = text
                .as_deref()
                .is_none_or(|text| text.chars().count() <= LONGEST_SEARCH && !text.contains('\0'));
            if !fits {
                let message = format!("at most {LONGEST_SEARCH} characters, without NUL");
                return Err(Problem::invalid_field(field, message));
            }
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(SessionFilter {
            status: self.status,
            text: given(self.q),
            user: given(self.user),
        })
    }
}

/// Conversations by their last message, newest first.
#[utoipa::path(get, path = "/api/client/v1/sessions", tag = "client", params(Wanted, PageQuery),
    responses((status = 200, body = List<ConversationView>), (status = 401, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    wanted: Result<Query<Wanted>, QueryRejection>,
    page: PageQuery,
) -> Result<axum::Json<List<ConversationView>>, Problem> {
    let Query(wanted) =
        wanted.map_err(|_| Problem::invalid_field("status", "open, handoff or closed"))?;
    let (filter, page) = (wanted.filter()?, page.request()?);
    let found = sessions::list(&app, &caller, &filter, &page).await?;
    Ok(axum::Json(List::from_page(found)))
}

/// One conversation.
#[utoipa::path(get, path = "/api/client/v1/sessions/{id}", tag = "client",
    params(("id" = SessionId, Path, description = "The conversation")),
    responses((status = 200, body = ConversationView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<SessionId>,
) -> Result<axum::Json<ConversationView>, Problem> {
    Ok(axum::Json(sessions::find(&app, &caller, id).await?.into()))
}

/// What was said in a conversation, oldest first.
#[utoipa::path(get, path = "/api/client/v1/sessions/{id}/messages", tag = "client",
    params(("id" = SessionId, Path, description = "The conversation"), PageQuery),
    responses((status = 200, body = List<ConversationMessageView>), (status = 404, body = ProblemDocument)))]
pub(crate) async fn messages(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<SessionId>,
    page: PageQuery,
) -> Result<axum::Json<List<ConversationMessageView>>, Problem> {
    let found = sessions::messages(&app, &caller, id, &page.request()?).await?;
    Ok(axum::Json(List::from_page(found)))
}

/// What a person writes to a visitor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    /// The text, in Markdown, 1 to 16,000 characters.
    content: String,
}

/// Writes to the visitor as a person. That takes the conversation over: its status is `handoff`, and
/// the bot is silent in it until it is closed. A closed one is taken up again.
#[utoipa::path(post, path = "/api/client/v1/sessions/{id}/messages", tag = "client",
    params(("id" = SessionId, Path, description = "The conversation"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again")),
    request_body = Reply,
    responses((status = 201, body = ConversationMessageView), (status = 404, body = ProblemDocument),
        (status = 413, description = "`message_too_long`", body = ProblemDocument),
        (status = 422, description = "`message_empty`, or `invalid_body`", body = ProblemDocument)))]
pub(crate) async fn reply(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<SessionId>,
    request: Once<Reply>,
) -> Result<Response, Problem> {
    let write = async move |app: Arc<App>, caller, reply: Reply| {
        let message = sessions::reply(&app, &caller, id, &reply.content).await?;
        Ok(ConversationMessageView::from(message))
    };
    request.run(&app, &caller, StatusCode::CREATED, write).await
}

/// Who is to have a conversation.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Assignment {
    /// One of the instance's admins; whoever asks when left out.
    admin_id: Option<InstanceAdminId>,
}

/// Hands a conversation to a person: its status is `handoff`, and the bot is silent in it until it
/// is closed. The body may be left out.
#[utoipa::path(post, path = "/api/client/v1/sessions/{id}/assign", tag = "client",
    params(("id" = SessionId, Path, description = "The conversation")), request_body = Assignment,
    responses((status = 200, body = ConversationView), (status = 404, body = ProblemDocument),
        (status = 422, body = ProblemDocument)))]
pub(crate) async fn assign(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<SessionId>,
    MaybeBody(assignment): MaybeBody<Assignment>,
) -> Result<axum::Json<ConversationView>, Problem> {
    let session = sessions::assign(&app, &caller, id, assignment.admin_id).await?;
    Ok(axum::Json(session.into()))
}

/// Closes a conversation. Its visitor's next message opens it again, and the bot answers.
#[utoipa::path(post, path = "/api/client/v1/sessions/{id}/close", tag = "client",
    params(("id" = SessionId, Path, description = "The conversation")),
    responses((status = 200, body = ConversationView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn close(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<SessionId>,
) -> Result<axum::Json<ConversationView>, Problem> {
    Ok(axum::Json(sessions::close(&app, &caller, id).await?.into()))
}
