//! The console's pages of AI models: the list in the order in which they are asked, a configuration's
//! form, its test, what its provider lists, and its removal.

mod form;
mod view;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use stoa_app::api_configurations::{self, ApiConfigurationError, Shown};
use stoa_app::{App, budgets};
use stoa_domain::{ApiConfigurationId, Provider};

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
use form::{LABELS, ModelForm, Wanted};
use view::{Choices, ModelRow, TrialView, provider_label, state, tested};

/// Adds the pages of AI models.
pub(in super::super) fn add(routes: Routes) -> Routes {
    let (read, send) = (Method::GET, Method::POST);
    let pages = [
        (read.clone(), "/console/{slug}/models", get(list)),
        (read.clone(), "/console/{slug}/models/new", get(fresh)),
        (send.clone(), "/console/{slug}/models/new", post(create)),
        (read.clone(), "/console/{slug}/models/{id}", get(show)),
        (send.clone(), "/console/{slug}/models/{id}", post(save)),
        (send.clone(), "/console/{slug}/models/{id}/test", post(test)),
        (send.clone(), "/console/{slug}/models/{id}/list", post(ask)),
        (read, "/console/{slug}/models/{id}/remove", get(ask_removal)),
        (send, "/console/{slug}/models/{id}/remove", post(remove)),
    ];
    pages
        .into_iter()
        .fold(routes, |routes, (method, path, page)| {
            routes.page(Policy::ClientAdmin, method, path, page)
        })
}

#[derive(Template)]
#[template(path = "console_models.html")]
struct ListPage {
    assets: Assets,
    nonce: String,
    shell: Shell,
    notice: Option<&'static str>,
    may_change: bool,
    new_model: String,
    rows: Vec<ModelRow>,
    currency: String,
    /// The day of the price table, for people.
    table_date: String,
}

#[derive(Template)]
#[template(path = "console_model.html")]
struct ModelPage {
    assets: Assets,
    nonce: String,
    shell: Shell,
    notice: Option<&'static str>,
    may_change: bool,
    /// Where the list is.
    models: String,
    /// Where the form goes to.
    action: String,
    /// The stored configuration's name; empty for a new one.
    stored_name: String,
    state: &'static str,
    state_label: String,
    tested: String,
    needs_key: bool,
    refusal: Refusal,
    form: ModelForm,
    providers: Vec<(&'static str, &'static str)>,
    choices: Choices,
    /// How many models the provider listed, when it was asked.
    listed: Option<usize>,
    /// Why it listed none.
    not_listed: Option<String>,
    trial: Option<TrialView>,
    currency: String,
    table_date: String,
}

async fn list(
    State(app): State<Arc<App>>,
    Params(done): Params<Done>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let found = api_configurations::list(&app, console.admin.caller()).await?;
    let models = home(&console);
    let (table_date, currency) = price_table();
    let nonce = Nonce::new(app.random());
    let page = ListPage {
        assets: Assets,
        nonce: nonce.as_str().to_owned(),
        shell: shell(&console, Section::Models),
        notice: done.sentence(),
        may_change: console.may_change(),
        new_model: format!("{models}/new"),
        rows: found.iter().map(|it| ModelRow::of(it, &models)).collect(),
        currency,
        table_date,
    };
    Ok(headers::console(StatusCode::OK, &nonce, &page)?)
}

async fn fresh(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
) -> Result<Response, PageError> {
    let there_are = api_configurations::list(&app, console.admin.caller()).await?;
    respond(&app, new_page(&console, ModelForm::blank(&there_are)))
}

async fn create(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let (form, wanted) = ModelForm::read(fields, None)?;
    let added = carry_out(wanted, |Wanted { provider, changes }| {
        api_configurations::add(&app, caller, provider, changes)
    });
    match added.await {
        Ok(shown) => {
            let model = format!("{}/{}?done=added", home(&console), shown.stored.id);
            Ok(Redirect::to(&model).into_response())
        }
        Err(problem) => refused(&app, new_page(&console, form), problem),
    }
}

async fn show(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ApiConfigurationId>,
    Params(done): Params<Done>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let shown = api_configurations::find(&app, console.admin.caller(), id).await?;
    let page = ModelPage {
        notice: done.sentence(),
        ..stored_page(&console, &shown)
    };
    respond(&app, page)
}

async fn save(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ApiConfigurationId>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = api_configurations::find(&app, caller, id).await?;
    let (form, wanted) = ModelForm::read(fields, Some(&shown))?;
    let changed = carry_out(wanted, async |Wanted { changes, .. }| {
        let changed = api_configurations::change(&app, caller, id, changes).await;
        changed.map_err(in_the_forms_words)
    });
    let Err(problem) = changed.await else {
        let model = format!("{}/{id}?done=saved", home(&console));
        return Ok(Redirect::to(&model).into_response());
    };
    let page = ModelPage {
        form,
        ..stored_page(&console, &shown)
    };
    refused(&app, page, problem)
}

async fn test(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ApiConfigurationId>,
    ClientEditor(console): ClientEditor,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let trial = api_configurations::test(&app, caller, id).await?;
    let shown = api_configurations::find(&app, caller, id).await?;
    let page = ModelPage {
        trial: Some(trial.into()),
        ..stored_page(&console, &shown)
    };
    respond(&app, page)
}

/// Asks the provider which models there are, past what is kept of its last list.
async fn ask(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ApiConfigurationId>,
    ClientEditor(console): ClientEditor,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = api_configurations::find(&app, caller, id).await?;
    let mut page = stored_page(&console, &shown);
    match api_configurations::models(&app, caller, id, true).await {
        Ok(listed) => {
            page.listed = Some(listed.len());
            page.choices = Choices::listed(&listed);
        }
        Err(ApiConfigurationError::NoModels(failure)) => {
            page.not_listed = Some(format!(
                "({}) {}",
                failure.code,
                failure.message.trim_end_matches('.')
            ));
        }
        Err(error) => return Err(error.into()),
    }
    respond(&app, page)
}

async fn ask_removal(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ApiConfigurationId>,
    ClientEditor(console): ClientEditor,
) -> Result<Response, PageError> {
    let shown = api_configurations::find(&app, console.admin.caller(), id).await?;
    removal(&console, &shown).ask(&app, &console)
}

async fn remove(
    State(app): State<Arc<App>>,
    PageId(id): PageId<ApiConfigurationId>,
    ClientEditor(console): ClientEditor,
    Form(typed): Form<RemovalFields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = api_configurations::find(&app, caller, id).await?;
    let removal = removal(&console, &shown);
    if !removal.is_meant(&typed) {
        return removal.ask_again(&app, &console);
    }
    api_configurations::remove(&app, caller, id).await?;
    Ok(Redirect::to(&format!("{}?done=removed", home(&console))).into_response())
}

fn home(console: &ClientConsole) -> String {
    format!("{}/models", console.home())
}

fn price_table() -> (String, String) {
    let (date, currency) = budgets::price_table();
    (date.format("%-d %b %Y").to_string(), currency)
}

fn new_page(console: &ClientConsole, form: ModelForm) -> ModelPage {
    let models = home(console);
    let (table_date, currency) = price_table();
    let labelled = |provider: &Provider| (provider.as_str(), provider_label(*provider));
    ModelPage {
        assets: Assets,
        nonce: String::new(),
        shell: shell(console, Section::Models),
        notice: None,
        may_change: true,
        action: format!("{models}/new"),
        models,
        stored_name: String::new(),
        state: "",
        state_label: String::new(),
        tested: String::new(),
        needs_key: false,
        refusal: Refusal::default(),
        form,
        providers: Provider::ALL.iter().map(labelled).collect(),
        choices: Choices::known(),
        listed: None,
        not_listed: None,
        trial: None,
        currency,
        table_date,
    }
}

fn stored_page(console: &ClientConsole, shown: &Shown) -> ModelPage {
    let (state, state_label) = state(shown);
    let new = new_page(console, ModelForm::of(shown));
    ModelPage {
        may_change: console.may_change(),
        action: format!("{}/{}", new.models, shown.stored.id),
        stored_name: shown.stored.settings.name.clone(),
        state,
        state_label,
        tested: tested(shown),
        needs_key: shown.needs_key,
        ..new
    }
}

fn respond(app: &App, mut page: ModelPage) -> Result<Response, PageError> {
    let nonce = Nonce::new(app.random());
    nonce.as_str().clone_into(&mut page.nonce);
    Ok(headers::console(page.refusal.status(), &nonce, &page)?)
}

/// Shows the form again with what was wrong, if that can be mended there.
fn refused(app: &App, page: ModelPage, problem: Problem) -> Result<Response, PageError> {
    let refusal = Refusal::of_problem(problem, LABELS)?;
    respond(app, ModelPage { refusal, ..page })
}

/// The API's sentence speaks of fields that may be null.
fn in_the_forms_words(error: ApiConfigurationError) -> Problem {
    match error {
        ApiConfigurationError::KeyRequired => Problem::invalid_field(
            "api_key",
            "the stored key goes to no other provider or address than the one it was given for: type it again, or tick that it is to be removed",
        ),
        other => other.into(),
    }
}

fn removal(console: &ClientConsole, shown: &Shown) -> Removal {
    Removal {
        section: Section::Models,
        what: "AI model",
        name: shown.stored.settings.name.clone(),
        consequence: "Its key is removed, and the bot does not ask it any more. What it answered stays in the conversations.",
        back: format!("{}/{}", home(console), shown.stored.id),
    }
}
