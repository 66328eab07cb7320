//! The MCP servers whose tools a client gives its bot.

mod dto;
mod problem;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stoa_app::{App, mcp_servers};
use stoa_domain::McpServerId;
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::once::Once;
use crate::http::page::List;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use dto::{McpServerChanges, McpServerView, McpTest, McpTestView, NewMcpServer};

/// Adds the routes of MCP servers.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(list, create))
        .api(Policy::ClientKey, routes!(get, change, remove))
        .api(Policy::ClientKey, routes!(refresh))
        .api(Policy::ClientKey, routes!(test))
}

/// All MCP servers, by name.
#[utoipa::path(get, path = "/api/client/v1/mcp-servers", tag = "client",
    responses((status = 200, body = List<McpServerView>), (status = 401, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<axum::Json<List<McpServerView>>, Problem> {
    let servers = mcp_servers::list(&app, &caller).await?;
    let servers = servers.into_iter().map(Into::into).collect();
    Ok(axum::Json(List::new(servers, None)))
}

/// Adds an MCP server (streamable HTTP), at most 10. Refresh it next, which asks it for its tools, then
/// allow those that the bot may use: at first none is.
#[utoipa::path(post, path = "/api/client/v1/mcp-servers", tag = "client",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again")),
    request_body = NewMcpServer,
    responses((status = 201, body = McpServerView),
        (status = 409, description = "`name_taken`, or `too_many_mcp_servers`", body = ProblemDocument),
        (status = 422, description = "`invalid_body`, `address_forbidden` or `not_encrypted`", body = ProblemDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    request: Once<NewMcpServer>,
) -> Result<Response, Problem> {
    let add = async |app: Arc<App>, caller, new: NewMcpServer| {
        let added = mcp_servers::add(&app, &caller, new.into()).await?;
        Ok(McpServerView::from(added))
    };
    request.run(&app, &caller, StatusCode::CREATED, add).await
}

/// One MCP server.
#[utoipa::path(get, path = "/api/client/v1/mcp-servers/{id}", tag = "client",
    params(("id" = McpServerId, Path, description = "The server")),
    responses((status = 200, body = McpServerView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<McpServerId>,
) -> Result<axum::Json<McpServerView>, Problem> {
    let found = mcp_servers::find(&app, &caller, id).await?;
    Ok(axum::Json(found.into()))
}

/// Changes an MCP server, and which of its tools the bot may use. A stored header goes to no other
/// host than the one it was given for: with another scheme, host or port in `url`, send every header
/// again, or null for those that are to go. At another address it is another server: refresh it, and
/// allow its tools anew.
#[utoipa::path(patch, path = "/api/client/v1/mcp-servers/{id}", tag = "client",
    params(("id" = McpServerId, Path, description = "The server")),
    request_body = McpServerChanges,
    responses((status = 200, body = McpServerView), (status = 404, body = ProblemDocument),
        (status = 409, description = "`name_taken`, `mcp_server_changed`, or `mcp_tool_changed`", body = ProblemDocument),
        (status = 422, description = "`invalid_body`, `headers_required`, `url_needed`, `address_forbidden` or `not_encrypted`", body = ProblemDocument)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<McpServerId>,
    Body(changes): Body<McpServerChanges>,
) -> Result<axum::Json<McpServerView>, Problem> {
    let changed = mcp_servers::change(&app, &caller, id, changes.into()).await?;
    Ok(axum::Json(changed.into()))
}

/// Removes an MCP server and its tools.
#[utoipa::path(delete, path = "/api/client/v1/mcp-servers/{id}", tag = "client",
    params(("id" = McpServerId, Path, description = "The server")),
    responses((status = 204), (status = 404, body = ProblemDocument)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<McpServerId>,
) -> Result<StatusCode, Problem> {
    mcp_servers::remove(&app, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks an MCP server for its tools and keeps what it says. A tool that was allowed and whose
/// description or parameters have changed is not used any more until it is allowed again.
#[utoipa::path(post, path = "/api/client/v1/mcp-servers/{id}/refresh", tag = "client",
    params(("id" = McpServerId, Path, description = "The server")),
    responses((status = 200, body = McpServerView), (status = 404, body = ProblemDocument),
        (status = 422, description = "`url_needed`", body = ProblemDocument),
        (status = 502, description = "`mcp_server_failed`: why it did not list its tools; those of before stay", body = ProblemDocument)))]
pub(crate) async fn refresh(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<McpServerId>,
) -> Result<axum::Json<McpServerView>, Problem> {
    let refreshed = mcp_servers::refresh(&app, &caller, id).await?;
    Ok(axum::Json(refreshed.into()))
}

/// Calls a tool of an MCP server with these arguments, whether it is allowed or not. This is a real
/// call: what the tool changes is changed, and nobody is asked first. Answers 200 however the server
/// answers.
#[utoipa::path(post, path = "/api/client/v1/mcp-servers/{id}/test", tag = "client",
    params(("id" = McpServerId, Path, description = "The server")),
    request_body = McpTest,
    responses((status = 200, body = McpTestView), (status = 404, body = ProblemDocument),
        (status = 422, description = "`invalid_body`, or `url_needed`", body = ProblemDocument)))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<McpServerId>,
    Body(test): Body<McpTest>,
) -> Result<axum::Json<McpTestView>, Problem> {
    let trial = mcp_servers::test(&app, &caller, id, &test.tool, &test.arguments).await?;
    Ok(axum::Json(trial.into()))
}
