//! The chat's settings and branding, version by version.

mod problem;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use stoa_app::{App, live_configuration};
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::page::List;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use view::{NewSettings, SettingsView, VersionView};

/// Adds the routes of the live configuration.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(get, put))
        .api(Policy::ClientKey, routes!(versions))
        .api(Policy::ClientKey, routes!(restore))
}

/// Shows the settings; the default ones, as version 0, before they were first set.
#[utoipa::path(get, path = "/api/client/v1/live-configuration", tag = "client",
    responses((status = 200, body = SettingsView), (status = 401, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<axum::Json<SettingsView>, Problem> {
    let current = live_configuration::current(&app, &caller).await?;
    Ok(axum::Json(current.into()))
}

/// Makes a new version of the settings, whole: what is left out gets its default. It takes effect
/// everywhere within a second. With `version`, the version that was edited, nothing is changed when
/// somebody else has changed the settings since.
#[utoipa::path(put, path = "/api/client/v1/live-configuration", tag = "client", request_body = NewSettings,
    responses((status = 200, body = SettingsView),
        (status = 409, description = "`configuration_outdated`: another version is current", body = ProblemDocument),
        (status = 422, body = ProblemDocument)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Body(new): Body<NewSettings>,
) -> Result<axum::Json<SettingsView>, Problem> {
    let (settings, based_on) = new.into_parts();
    let made = live_configuration::put(&app, &caller, settings, based_on).await?;
    Ok(axum::Json(made.into()))
}

/// The newest 200 versions, newest first.
#[utoipa::path(get, path = "/api/client/v1/live-configuration/versions", tag = "client",
    responses((status = 200, body = List<VersionView>), (status = 401, body = ProblemDocument)))]
pub(crate) async fn versions(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<axum::Json<List<VersionView>>, Problem> {
    let versions = live_configuration::versions(&app, &caller).await?;
    let versions = versions.into_iter().map(Into::into).collect();
    Ok(axum::Json(List::new(versions, None)))
}

/// Makes a new version that is like an earlier one.
#[utoipa::path(post, path = "/api/client/v1/live-configuration/versions/{n}/restore", tag = "client",
    params(("n" = i32, Path, description = "The earlier version's number")),
    responses((status = 201, body = SettingsView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(version): Id<i32>,
) -> Result<(StatusCode, axum::Json<SettingsView>), Problem> {
    let made = live_configuration::restore(&app, &caller, version).await?;
    Ok((StatusCode::CREATED, axum::Json(made.into())))
}
