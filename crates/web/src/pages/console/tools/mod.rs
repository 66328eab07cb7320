//! The console's pages of tools: the list, a tool's form, a try of it, and its removal.

mod form;
mod view;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use stoa_app::tools::{self, Shown};
use stoa_app::{App, PageRequest, mcp_servers};
use stoa_domain::{ToolEffect, ToolId};

use super::super::browser::{ClientConsole, ClientEditor, PageId};
use super::super::error::PageError;
use super::super::form::{Fields, Form};
use super::super::headers::{self, Nonce};
use super::super::parts::Shell;
use super::mcp_servers::ServerRow;
use super::refusal::{Refusal, carry_out};
use super::removal::{Removal, RemovalFields};
use super::{Done, Section, shell};
use crate::http::assets::Assets;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::routes::{Policy, Routes};
use form::{LABELS, ToolForm, json_object};
use view::{ToolRow, TrialView, example};

pub(super) use form::pretty;
pub(super) use view::{effect_label, host};

/// Adds the pages of tools.
pub(in super::super) fn add(routes: Routes) -> Routes {
    let (read, send) = (Method::GET, Method::POST);
    let pages = [
        (read.clone(), "/console/{slug}/tools", get(list)),
        (read.clone(), "/console/{slug}/tools/new", get(fresh)),
        (send.clone(), "/console/{slug}/tools/new", post(create)),
        (read.clone(), "/console/{slug}/tools/{id}", get(show)),
        (send.clone(), "/console/{slug}/tools/{id}", post(save)),
        (send.clone(), "/console/{slug}/tools/{id}/try", post(try_it)),
        (read, "/console/{slug}/tools/{id}/remove", get(ask_removal)),
        (send, "/console/{slug}/tools/{id}/remove", post(remove)),
    ];
    pages
        .into_iter()
        .fold(routes, |routes, (method, path, page)| {
            routes.page(Policy::ClientAdmin, method, path, page)
        })
}

#[derive(Template)]
#[template(path = "console_tools.html")]
struct ListPage {
    assets: Assets,
    nonce: String,
    shell: Shell,
    notice: Option<&'static str>,
    may_change: bool,
    new_tool: String,
    tools: Vec<ToolRow>,
    new_server: String,
    servers: Vec<ServerRow>,
}

#[derive(Template)]
#[template(path = "console_tool.html")]
struct ToolPage {
    assets: Assets,
    nonce: String,
    shell: Shell,
    notice: Option<&'static str>,
    may_change: bool,
    /// Where the list is.
    tools: String,
    /// Where the form goes to: the tool's own address, or the list's for a new one.
    action: String,
    /// The stored tool's name; empty for a new one.
    stored_name: String,
    needs_url: bool,
    writes: bool,
    refusal: Refusal,
    form: ToolForm,
    arguments: String,
    arguments_error: Option<String>,
    trial: Option<TrialView>,
}

/// What a try sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrialFields {
    arguments: String,
}

async fn list(
    State(app): State<Arc<App>>,
    Params(done): Params<Done>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let most = PageRequest {
        limit: 200,
        after: None,
    };
    let found = tools::list(&app, console.admin.caller(), &most).await?;
    let asked = mcp_servers::list(&app, console.admin.caller()).await?;
    let home = format!("{}/tools", console.home());
    let servers = format!("{}/mcp-servers", console.home());
    let nonce = Nonce::new(app.random());
    let page = ListPage {
        assets: Assets,
        nonce: nonce.as_str().to_owned(),
        shell: shell(&console, Section::Tools),
        notice: done.sentence(),
        may_change: console.may_change(),
        new_tool: format!("{home}/new"),
        tools: found.data.iter().map(|it| ToolRow::of(it, &home)).collect(),
        new_server: format!("{servers}/new"),
        servers: asked.iter().map(|it| ServerRow::of(it, &servers)).collect(),
    };
    Ok(headers::console(StatusCode::OK, &nonce, &page)?)
}

async fn fresh(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
) -> Result<Response, PageError> {
    respond(&app, new_page(&console, ToolForm::blank()))
}

async fn create(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let (form, changes) = ToolForm::read(fields)?;
    let added = carry_out(changes, |changes| tools::add(&app, caller, changes));
    match added.await {
        Ok(shown) => {
            let tools = format!("{}/tools", console.home());
            Ok(Redirect::to(&format!("{tools}/{}?done=added", shown.stored.id)).into_response())
        }
        Err(problem) => refused(&app, new_page(&console, form), problem),
    }
}

async fn show(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ToolId>,
    Params(done): Params<Done>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let shown = tools::find(&app, console.admin.caller(), id).await?;
    let page = ToolPage {
        notice: done.sentence(),
        ..stored_page(&console, &shown)
    };
    respond(&app, page)
}

async fn save(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ToolId>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let (form, changes) = ToolForm::read(fields)?;
    let changed = carry_out(changes, |changes| tools::change(&app, caller, id, changes));
    let Err(problem) = changed.await else {
        let tool = format!("{}/tools/{id}?done=saved", console.home());
        return Ok(Redirect::to(&tool).into_response());
    };
    let shown = tools::find(&app, caller, id).await?;
    let page = ToolPage {
        form,
        ..stored_page(&console, &shown)
    };
    refused(&app, page, problem)
}

async fn try_it(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ToolId>,
    ClientEditor(console): ClientEditor,
    Form(TrialFields { arguments }): Form<TrialFields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = tools::find(&app, caller, id).await?;
    let mut page = stored_page(&console, &shown);
    match json_object(&arguments) {
        Ok(given) => {
            let trial = tools::test(&app, caller, id, &given).await?;
            page.trial = Some(trial.into());
        }
        Err(sentence) => page.arguments_error = Some(sentence),
    }
    page.arguments = arguments;
    respond(&app, page)
}

async fn ask_removal(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ToolId>,
    ClientEditor(console): ClientEditor,
) -> Result<Response, PageError> {
    let shown = tools::find(&app, console.admin.caller(), id).await?;
    removal(&console, &shown).ask(&app, &console)
}

async fn remove(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ToolId>,
    ClientEditor(console): ClientEditor,
    Form(typed): Form<RemovalFields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = tools::find(&app, caller, id).await?;
    let removal = removal(&console, &shown);
    if !removal.is_meant(&typed) {
        return removal.ask_again(&app, &console);
    }
    tools::remove(&app, caller, id).await?;
    Ok(Redirect::to(&format!("{}/tools?done=removed", console.home())).into_response())
}

fn new_page(console: &ClientConsole, form: ToolForm) -> ToolPage {
    let tools = format!("{}/tools", console.home());
    ToolPage {
        assets: Assets,
        nonce: String::new(),
        shell: shell(console, Section::Tools),
        notice: None,
        may_change: true,
        action: format!("{tools}/new"),
        tools,
        stored_name: String::new(),
        needs_url: false,
        writes: false,
        refusal: Refusal::default(),
        form,
        arguments: String::new(),
        arguments_error: None,
        trial: None,
    }
}

fn stored_page(console: &ClientConsole, shown: &Shown) -> ToolPage {
    let settings = &shown.stored.settings;
    let new = new_page(console, ToolForm::of(shown));
    ToolPage {
        may_change: console.may_change(),
        action: format!("{}/{}", new.tools, shown.stored.id),
        stored_name: settings.name.clone(),
        needs_url: shown.place.is_none(),
        writes: settings.effect == ToolEffect::Write,
        arguments: example(&settings.parameters),
        ..new
    }
}

fn respond(app: &App, mut page: ToolPage) -> Result<Response, PageError> {
    let nonce = Nonce::new(app.random());
    nonce.as_str().clone_into(&mut page.nonce);
    let status = match (&page.refusal, &page.arguments_error) {
        (_, Some(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        (refusal, None) => refusal.status(),
    };
    Ok(headers::console(status, &nonce, &page)?)
}

/// Shows the form again with what was wrong, if that can be mended there.
fn refused(app: &App, page: ToolPage, problem: Problem) -> Result<Response, PageError> {
    let refusal = Refusal::of_problem(problem, LABELS)?;
    respond(app, ToolPage { refusal, ..page })
}

fn removal(console: &ClientConsole, shown: &Shown) -> Removal {
    Removal {
        section: Section::Tools,
        what: "tool",
        name: shown.stored.settings.name.clone(),
        consequence: "Its description, address and headers are removed, and the bot cannot call it any more. What it did stays in the conversations.",
        back: format!("{}/tools/{}", console.home(), shown.stored.id),
    }
}
