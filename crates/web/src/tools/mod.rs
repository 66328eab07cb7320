//! The tools that a client gives its bot.

mod dto;
mod problem;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stoa_app::{App, tools};
use stoa_domain::ToolId;
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::once::Once;
use crate::http::page::{List, PageQuery};
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use dto::{NewTool, ToolChanges, ToolTest, ToolTestView, ToolView};

/// Adds the routes of tools.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(list, create))
        .api(Policy::ClientKey, routes!(get, change, remove))
        .api(Policy::ClientKey, routes!(test))
}

/// Tools, newest first.
#[utoipa::path(get, path = "/api/client/v1/tools", tag = "client", params(PageQuery),
    responses((status = 200, body = List<ToolView>), (status = 401, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    page: PageQuery,
) -> Result<axum::Json<List<ToolView>>, Problem> {
    let tools = tools::list(&app, &caller, &page.request()?).await?;
    Ok(axum::Json(List::from_page(tools)))
}

/// Adds a tool: an HTTP call that the bot may make, at most 50. What it is called with is checked
/// against its JSON schema first; where it writes, the visitor is asked before each call.
#[utoipa::path(post, path = "/api/client/v1/tools", tag = "client",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again")),
    request_body = NewTool,
    responses((status = 201, body = ToolView),
        (status = 409, description = "`name_taken`, or `too_many_tools`", body = ProblemDocument),
        (status = 422, description = "`invalid_body`, `address_forbidden` or `not_encrypted`", body = ProblemDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    request: Once<NewTool>,
) -> Result<Response, Problem> {
    let add = async |app: Arc<App>, caller, new: NewTool| {
        let added = tools::add(&app, &caller, new.into()).await?;
        Ok(ToolView::from(added))
    };
    request.run(&app, &caller, StatusCode::CREATED, add).await
}

/// One tool.
#[utoipa::path(get, path = "/api/client/v1/tools/{id}", tag = "client",
    params(("id" = ToolId, Path, description = "The tool")),
    responses((status = 200, body = ToolView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ToolId>,
) -> Result<axum::Json<ToolView>, Problem> {
    Ok(axum::Json(tools::find(&app, &caller, id).await?.into()))
}

/// Changes a tool. A stored header goes to no other host than the one it was given for: with another
/// scheme, host or port in `url`, send every header again, or null for those that are to go.
#[utoipa::path(patch, path = "/api/client/v1/tools/{id}", tag = "client",
    params(("id" = ToolId, Path, description = "The tool")),
    request_body = ToolChanges,
    responses((status = 200, body = ToolView), (status = 404, body = ProblemDocument),
        (status = 409, description = "`name_taken`, or `tool_changed`", body = ProblemDocument),
        (status = 422, description = "`invalid_body`, `headers_required`, `address_forbidden` or `not_encrypted`", body = ProblemDocument)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ToolId>,
    Body(changes): Body<ToolChanges>,
) -> Result<axum::Json<ToolView>, Problem> {
    let changed = tools::change(&app, &caller, id, changes.into()).await?;
    Ok(axum::Json(changed.into()))
}

/// Removes a tool.
#[utoipa::path(delete, path = "/api/client/v1/tools/{id}", tag = "client",
    params(("id" = ToolId, Path, description = "The tool")),
    responses((status = 204), (status = 404, body = ProblemDocument)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ToolId>,
) -> Result<StatusCode, Problem> {
    tools::remove(&app, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Calls a tool with these arguments. This is a real call: what the tool changes is changed, and
/// nobody is asked first. Answers 200 however the tool answers.
#[utoipa::path(post, path = "/api/client/v1/tools/{id}/test", tag = "client",
    params(("id" = ToolId, Path, description = "The tool")),
    request_body = ToolTest,
    responses((status = 200, body = ToolTestView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ToolId>,
    Body(test): Body<ToolTest>,
) -> Result<axum::Json<ToolTestView>, Problem> {
    let trial = tools::test(&app, &caller, id, &test.arguments).await?;
    Ok(axum::Json(trial.into()))
}
