//! The console's page of budgets: how they stand, what they are, and what models cost.

mod form;
mod view;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use stoa_app::App;
use stoa_app::budgets::{self, Shown};

use super::super::browser::{ClientConsole, ClientEditor};
use super::super::error::PageError;
use super::super::form::{Fields, Form};
use super::super::headers::{self, Nonce};
use super::super::parts::Shell;
use super::refusal::{Refusal, carry_out};
use super::{Done, Section, shell};
use crate::http::assets::Assets;
use crate::http::params::Params;
use crate::http::routes::{Policy, Routes};
use form::{BudgetsForm, LABELS};
use view::{PriceRow, StandingRow, rows};

pub(super) use view::{price, source_label};

/// Adds the page of budgets.
pub(in super::super) fn add(routes: Routes) -> Routes {
    let path = "/console/{slug}/budgets";
    routes
        .page(Policy::ClientAdmin, Method::GET, path, get(show))
        .page(Policy::ClientAdmin, Method::POST, path, post(save))
}

#[derive(Template)]
#[template(path = "console_budgets.html")]
struct Page {
    assets: Assets,
    nonce: String,
    shell: Shell,
    notice: Option<&'static str>,
    may_change: bool,
    action: String,
    refusal: Refusal,
    warnings: Vec<String>,
    standing: Vec<StandingRow>,
    form: BudgetsForm,
    currency: String,
    prices: Vec<PriceRow>,
    /// The day of the price table, for people.
    table_date: String,
}

async fn show(
    State(app): State<Arc<App>>,
    Params(done): Params<Done>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let shown = budgets::get(&app, console.admin.caller()).await?;
    let form = BudgetsForm::of(&shown.budgets);
    let page = Page {
        notice: done.sentence(),
        ..page(&console, shown, form)
    };
    respond(&app, page)
}

async fn save(
    State(app): State<Arc<App>>,
    ClientEditor(console): ClientEditor,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let shown = budgets::get(&app, caller).await?;
    let (form, wanted) = BudgetsForm::read(fields, &shown.table.1)?;
    let saved = carry_out(wanted, |wanted| budgets::put(&app, caller, wanted));
    let Err(problem) = saved.await else {
        let done = format!("{}/budgets?done=saved", console.home());
        return Ok(Redirect::to(&done).into_response());
    };
    let refusal = Refusal::of_problem(problem, LABELS)?;
    let page = Page {
        refusal,
        ..page(&console, shown, form)
    };
    respond(&app, page)
}

fn page(console: &ClientConsole, shown: Shown, form: BudgetsForm) -> Page {
    let (table_date, currency) = shown.table;
    let [day, month] = &shown.periods;
    let standing = [
        rows("Today", day, &currency),
        rows("This month", month, &currency),
    ];
    Page {
        assets: Assets,
        nonce: String::new(),
        shell: shell(console, Section::Budgets),
        notice: None,
        may_change: console.may_change(),
        action: format!("{}/budgets", console.home()),
        refusal: Refusal::default(),
        warnings: shown.warnings.into_iter().map(|it| it.message).collect(),
        standing: standing.into_iter().flatten().collect(),
        form,
        currency,
        prices: shown.prices.into_iter().map(Into::into).collect(),
        table_date: table_date.format("%-d %b %Y").to_string(),
    }
}

fn respond(app: &App, mut page: Page) -> Result<Response, PageError> {
    let nonce = Nonce::new(app.random());
    nonce.as_str().clone_into(&mut page.nonce);
    Ok(headers::console(page.refusal.status(), &nonce, &page)?)
}
