//! The instance's database: checked and connected.

pub(crate) mod moving;
mod problem;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use stoa_app::{App, database};
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use moving::MoveAnswer;
use view::{ConnectedView, NewDatabase, ReportView};

/// Adds the routes of the database.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(put))
        .api(Policy::ClientKey, routes!(check))
        .api(Policy::ClientKey, routes!(moving::show))
        .api(Policy::ClientKey, routes!(moving::cancel))
        .api(Policy::ClientKey, routes!(moving::drop_previous))
}

/// Looks at a database and says what is wrong with it and what to do about it. Changes nothing, and
/// answers 200 whatever it finds.
#[utoipa::path(post, path = "/api/client/v1/database/check", tag = "client", request_body = NewDatabase,
    responses((status = 200, body = ReportView), (status = 422, body = ProblemDocument)))]
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Body(new): Body<NewDatabase>,
) -> Result<axum::Json<ReportView>, Problem> {
    let report = database::check(&app, &caller, &new.into_address()?).await?;
    Ok(axum::Json(report.into()))
}

/// Connects the instance's database, once every check passes or only warns: it is brought up to
/// date, marked as this instance's, and used from then on.
///
/// The address is replaced whole, so another host always takes its own password; Supabase fields
/// that are left out are cleared. An instance that has a database moves only where nothing is left
/// behind: to the same database with other credentials, to one that carries this instance's marker,
/// or from one that holds nothing yet. With `move: true` what the present one holds comes along, in
/// the background and while it is used: the answer is then 202 with the move.
#[utoipa::path(put, path = "/api/client/v1/database", tag = "client", request_body = NewDatabase,
    responses((status = 200, body = ConnectedView), (status = 202, body = MoveAnswer),
        (status = 409, description = "`database_already_set`: the present database holds data; `database_move_under_way`, `database_moved_away`, `previous_database_kept`, `database_is_managed`, `move_destination_not_empty`", body = ProblemDocument),
        (status = 422, description = "`database_check_failed` with `checks` and `role_sql` as the check answers, `database_is_platform`, or `invalid_body`", body = ProblemDocument)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Body(new): Body<NewDatabase>,
) -> Result<Response, Problem> {
    if new.is_move() {
        return moving::begin(&app, &caller, new.into_destination()?).await;
    }
    let connected = database::put(&app, &caller, new.into_address()?).await?;
    Ok(axum::Json(ConnectedView::from(connected)).into_response())
}
