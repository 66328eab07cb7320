//! The console's pages of MCP servers: a server's form, what it offers, what is allowed of that.

mod form;
mod view;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use stoa_app::App;
use stoa_app::mcp_servers::{self, Changes, McpServerError, Shown};
use stoa_domain::McpServerId;

use super::super::browser::{ClientConsole, ClientEditor, PageId};
use super::super::error::PageError;
use super::super::form::{Fields, Form};
use super::super::headers::{self, Nonce};
use super::super::parts::Shell;
use super::refusal::{Refusal, carry_out};
use super::removal::{Removal, RemovalFields};
use super::{Done, Nothing, Section, shell};
use crate::http::assets::Assets;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::routes::{Policy, Routes};
use form::{LABELS, ServerForm, read_allowed};
use view::{OfferedRow, left_out, state};

pub(super) use view::ServerRow;

/// Adds the pages of MCP servers.
pub(in super::super) fn add(routes: Routes) -> Routes {
    let (read, send) = (Method::GET, Method::POST);
    let one = "/console/{slug}/mcp-servers/{id}";
    let pages = [
        (read.clone(), "/console/{slug}/mcp-servers/new", get(fresh)),
        (
            send.clone(),
            "/console/{slug}/mcp-servers/new",
            post(create),
        ),
        (read.clone(), one, get(show)),
        (send.clone(), one, post(save)),
        (
            send.clone(),
            "/console/{slug}/mcp-servers/{id}/refresh",
            post(refresh),
        ),
        (
            send.clone(),
            "/console/{slug}/mcp-servers/{id}/tools",
            post(allow),
        ),
        (
            read,
            "/console/{slug}/mcp-servers/{id}/remove",
            get(ask_removal),
        ),
        (
            send,
            "/console/{slug}/mcp-servers/{id}/remove",
            post(remove),
        ),
    ];
    pages
        .into_iter()
        .fold(routes, |routes, (method, path, page)| {
            routes.page(Policy::ClientAdmin, method, path, page)
        })
}

#[derive(Template)]
#[template(path = "console_mcp_server.html")]
struct Page {
    assets: Assets,
    nonce: String,
    shell: Shell,
    notice: Option<&'static str>,
    may_change: bool,
    /// Where the list is.
    tools: String,
    /// Where the form goes to: the server's own address, or the list's for a new one.
    action: String,
    /// The stored server's name; empty for a new one.
    stored_name: String,
    needs_url: bool,
    refusal: Refusal,
    form: ServerForm,
    state: &'static str,
    state_label: &'static str,
    /// When it was last asked, for people; empty before.
    listed: String,
    list_error: String,
    offered: Vec<OfferedRow>,
    left_out: Vec<(String, &'static str)>,
}

async fn fresh(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
) -> Result<Response, PageError> {
    respond(&app, new_page(&console, ServerForm::blank()))
}

async fn create(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let (form, changes) = ServerForm::read(fields)?;
    let added = carry_out(changes, |changes| mcp_servers::add(&app, caller, changes));
    match added.await {
        // What it offers is the next thing to look at.
        Ok(shown) => ask(&app, &console, shown.stored.id, "added").await,
        Err(problem) => refused(&app, new_page(&console, form), problem),
    }
}

async fn show(
    State(app): State<Arc<App>>,
    PageId(id): PageId<McpServerId>,
    Params(done): Params<Done>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let shown = mcp_servers::find(&app, console.admin.caller(), id).await?;
    let page = Page {
        notice: done.sentence(),
        ..stored_page(&console, &shown)
    };
    respond(&app, page)
}

async fn save(
    State(app): State<Arc<App>>,
    PageId(id): PageId<McpServerId>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let (form, changes) = ServerForm::read(fields)?;
    let changed = carry_out(changes, |changes| {
        mcp_servers::change(&app, caller, id, changes)
    });
    let Err(problem) = changed.await else {
        return Ok(to(&console, id, "saved"));
    };
    let shown = mcp_servers::find(&app, caller, id).await?;
    let page = Page {
        form,
        ..stored_page(&console, &shown)
    };
    refused(&app, page, problem)
}

async fn refresh(
    State(app): State<Arc<App>>,
    PageId(id): PageId<McpServerId>,
    ClientEditor(console): ClientEditor,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, PageError> {
    ask(&app, &console, id, "asked").await
}

/// Asks a server for its tools and leads to its page.
async fn ask(
    app: &App,
    console: &ClientConsole,
    id: McpServerId,
    done: &str,
) -> Result<Response, PageError> {
    match mcp_servers::refresh(app, console.admin.caller(), id).await {
        // That it does not answer is kept, and stands on its page.
        Ok(_) | Err(McpServerError::Unlisted(_)) => Ok(to(console, id, done)),
        Err(error) => Err(error.into()),
    }
}

async fn allow(
    State(app): State<Arc<App>>,
    PageId(id): PageId<McpServerId>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = mcp_servers::find(&app, caller, id).await?;
    let changes = Changes {
        tools: Some(read_allowed(fields, &shown)?),
        ..Changes::default()
    };
    match mcp_servers::change(&app, caller, id, changes).await {
        Ok(_) => Ok(to(&console, id, "saved")),
        Err(error) => {
            let shown = mcp_servers::find(&app, caller, id).await?;
            refused(&app, stored_page(&console, &shown), error.into())
        }
    }
}

async fn ask_removal(
    State(app): State<Arc<App>>,
    PageId(id): PageId<McpServerId>,
    ClientEditor(console): ClientEditor,
) -> Result<Response, PageError> {
    let shown = mcp_servers::find(&app, console.admin.caller(), id).await?;
    removal(&console, &shown).ask(&app, &console)
}

async fn remove(
    State(app): State<Arc<App>>,
    PageId(id): PageId<McpServerId>,
    ClientEditor(console): ClientEditor,
    Form(typed): Form<RemovalFields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = mcp_servers::find(&app, caller, id).await?;
    let removal = removal(&console, &shown);
    if !removal.is_meant(&typed) {
        return removal.ask_again(&app, &console);
    }
    mcp_servers::remove(&app, caller, id).await?;
    Ok(Redirect::to(&format!("{}/tools?done=removed", console.home())).into_response())
}

fn removal(console: &ClientConsole, shown: &Shown) -> Removal {
    Removal {
        section: Section::Tools,
        what: "MCP server",
        name: shown.stored.settings.name.clone(),
        consequence: "Its address and headers are removed, and the bot cannot call its tools any more. What they did stays in the conversations.",
        back: format!("{}/mcp-servers/{}", console.home(), shown.stored.id),
    }
}

fn new_page(console: &ClientConsole, form: ServerForm) -> Page {
    Page {
        assets: Assets,
        nonce: String::new(),
        shell: shell(console, Section::Tools),
        notice: None,
        may_change: true,
        tools: format!("{}/tools", console.home()),
        action: format!("{}/mcp-servers/new", console.home()),
        stored_name: String::new(),
        needs_url: false,
        refusal: Refusal::default(),
        form,
        state: "",
        state_label: "",
        listed: String::new(),
        list_error: String::new(),
        offered: Vec::new(),
        left_out: Vec::new(),
    }
}

fn stored_page(console: &ClientConsole, shown: &Shown) -> Page {
    let stored = &shown.stored;
    let (state, state_label) = state(shown);
    let listed = stored.listed_at;
    Page {
        may_change: console.may_change(),
        action: format!("{}/mcp-servers/{}", console.home(), stored.id),
        stored_name: stored.settings.name.clone(),
        needs_url: shown.place.is_none(),
        state,
        state_label,
        listed: listed
            .map(|at| at.format("%-d %b %Y, %H:%M UTC").to_string())
            .unwrap_or_default(),
        list_error: stored.list_error.clone().unwrap_or_default(),
        offered: shown.tools.iter().map(OfferedRow::of).collect(),
        left_out: left_out(shown),
        ..new_page(console, ServerForm::of(shown))
    }
}

fn to(console: &ClientConsole, id: McpServerId, done: &str) -> Response {
    let page = format!("{}/mcp-servers/{id}?done={done}", console.home());
    Redirect::to(&page).into_response()
}

fn respond(app: &App, mut page: Page) -> Result<Response, PageError> {
    let nonce = Nonce::new(app.random());
    nonce.as_str().clone_into(&mut page.nonce);
    Ok(headers::console(page.refusal.status(), &nonce, &page)?)
}

/// Shows the forms again with what was wrong, if that can be mended there.
fn refused(app: &App, page: Page, problem: Problem) -> Result<Response, PageError> {
    let refusal = Refusal::of_problem(problem, LABELS)?;
    respond(app, Page { refusal, ..page })
}
