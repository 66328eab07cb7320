//! What AI may cost.

mod problem;
mod view;

use std::sync::Arc;

use axum::extract::State;
use stoa_app::{App, budgets};
use stoa_domain::Budgets;
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use view::BudgetsView;

/// Adds the routes of budgets.
pub(crate) fn add(routes: Routes) -> Routes {
    routes.api(Policy::ClientKey, routes!(get, put))
}

/// Shows the budgets, what was spent and is reserved of the instance's own, and what each enabled AI
/// configuration costs.
#[utoipa::path(get, path = "/api/client/v1/budgets", tag = "client",
    responses((status = 200, body = BudgetsView), (status = 401, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<axum::Json<BudgetsView>, Problem> {
    Ok(axum::Json(budgets::get(&app, &caller).await?.into()))
}

/// Replaces the budgets whole: what is left out is not limited. They count for every call from a second
/// later on; what was spent before in the day and the month counts.
///
/// A call of a model is made only if every limit has room for what it may take. The last call before
/// a limit may take more than what is left. When there is no room, visitors read `exceeded_message`
/// and programs get 429. While a limit of money is set, a model with an unknown price is not asked.
#[utoipa::path(put, path = "/api/client/v1/budgets", tag = "client", request_body = Budgets,
    responses((status = 200, body = BudgetsView), (status = 422, body = ProblemDocument),
        (status = 503, description = "The client's database is being brought up to date", body = ProblemDocument)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Body(new): Body<Budgets>,
) -> Result<axum::Json<BudgetsView>, Problem> {
    Ok(axum::Json(budgets::put(&app, &caller, new).await?.into()))
}
