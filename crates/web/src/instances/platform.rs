//! Instances as the platform looks after them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stoa_app::App;
use stoa_app::instances::delete::{self, Deleted};
use stoa_app::instances::{self, Changes, Wanted, admins, environment};
use stoa_domain::{Email, InstanceId, InstanceName, InstanceStatus, Slug};
use utoipa::{IntoParams, ToSchema};

use super::create::AdminLink;
use super::parse;
use super::view::InstanceView;
use crate::http::body::Body;
use crate::http::caller::Platform;
use crate::http::creation::BareCreation;
use crate::http::id::Id;
use crate::http::page::{List, PageQuery, bad_cursor};
use crate::http::params::Params;
use crate::http::problem::{Problem, ProblemDocument};

/// What a list of instances is narrowed to.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InstanceQuery {
    /// Only those with this status.
    #[param(value_type = Option<InstanceStatus>)]
    status: Option<String>,
    /// Only those whose name or slug contains this.
    q: Option<String>,
}

/// Lists instances, the newest first.
#[utoipa::path(get, path = "/api/platform/v1/instances", tag = "platform",
    params(InstanceQuery, PageQuery), responses((status = 200, body = List<InstanceView>)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Params(query): Params<InstanceQuery>,
    page: PageQuery,
) -> Result<axum::Json<List<InstanceView>>, Problem> {
    let wanted = Wanted {
        status: match query.status {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                let known = "“awaiting_setup”, “active”, “suspended” or “deleting”";
                Problem::invalid_field("status", known)
            })?),
        },
        q: query.q,
        after: match page.cursor() {
            None => None,
            Some(cursor) => Some(cursor.parse().map_err(|_| bad_cursor())?),
        },
        limit: page.limit()?,
    };
    let (found, more) = instances::list(&app, &caller, wanted).await?;
    let next = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    let data = found.iter().map(InstanceView::from).collect();
    Ok(axum::Json(List::new(data, next)))
}

/// Shows an instance.
#[utoipa::path(get, path = "/api/platform/v1/instances/{id}", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")),
    responses((status = 200, body = InstanceView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
) -> Result<axum::Json<InstanceView>, Problem> {
    let instance = instances::find(&app, &caller, id).await?;
    Ok(axum::Json((&instance).into()))
}

/// What is to be different about an instance; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstanceChanges {
    /// Another name for people.
    name: Option<String>,
    /// Another name in addresses. Addresses with the old one stop working.
    slug: Option<String>,
    /// The code of another plan.
    plan: Option<String>,
    /// Another region.
    region: Option<String>,
}

/// Changes an instance's name, slug, plan or region.
#[utoipa::path(patch, path = "/api/platform/v1/instances/{id}", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")), request_body = InstanceChanges,
    responses((status = 200, body = InstanceView), (status = 404, body = ProblemDocument),
        (status = 409, description = "`slug_taken`", body = ProblemDocument)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
    Body(changes): Body<InstanceChanges>,
) -> Result<axum::Json<InstanceView>, Problem> {
    let name = changes.name.as_deref().map(InstanceName::parse).transpose();
    let slug = changes.slug.as_deref().map(Slug::parse).transpose();
    let changes = Changes {
        name: parse("name", name)?,
        slug: parse("slug", slug)?,
        plan: changes.plan,
        region: changes.region,
    };
    let instance = instances::update(&app, &caller, id, changes).await?;
    Ok(axum::Json((&instance).into()))
}

/// Deletes an instance for good: its data key, its keys and admins, and a managed database with
/// everything in it. An external database is the client's and stays as it is.
///
/// 204 when nothing of it is left; 202 when the managed cluster did not answer and the rest is
/// done in the background, the instance being `deleting` until then.
#[utoipa::path(delete, path = "/api/platform/v1/instances/{id}", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")),
    responses((status = 204, description = "Deleted"), (status = 202, body = InstanceView),
        (status = 404, body = ProblemDocument)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
) -> Result<Response, Problem> {
    match delete::delete(&app, &caller, id).await? {
        Deleted::Whole => Ok(StatusCode::NO_CONTENT.into_response()),
        Deleted::Begun => {
            let instance = instances::find(&app, &caller, id).await?;
            let view = axum::Json(InstanceView::from(&instance));
            Ok((StatusCode::ACCEPTED, view).into_response())
        }
    }
}

/// Why an instance is suspended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suspension {
    /// The reason, 1 to 500 characters. Visitors do not see it.
    reason: String,
}

/// Suspends an active instance: its chat says so in its own looks, and answers nothing.
#[utoipa::path(post, path = "/api/platform/v1/instances/{id}/suspend", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")), request_body = Suspension,
    responses((status = 200, body = InstanceView), (status = 404, body = ProblemDocument),
        (status = 409, description = "`wrong_status`: it is not active", body = ProblemDocument)))]
pub(crate) async fn suspend(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
    Body(suspension): Body<Suspension>,
) -> Result<axum::Json<InstanceView>, Problem> {
    let instance = instances::suspend(&app, &caller, id, &suspension.reason).await?;
    Ok(axum::Json((&instance).into()))
}

/// Lets a suspended instance go on.
#[utoipa::path(post, path = "/api/platform/v1/instances/{id}/resume", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")),
    responses((status = 200, body = InstanceView), (status = 404, body = ProblemDocument),
        (status = 409, description = "`wrong_status`: it is not suspended", body = ProblemDocument)))]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
) -> Result<axum::Json<InstanceView>, Problem> {
    let instance = instances::resume(&app, &caller, id).await?;
    Ok(axum::Json((&instance).into()))
}

/// Whose credentials are renewed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminCredentials {
    /// The address of one of the instance's admins; the owner when left out.
    email: Option<String>,
}

/// Gives an admin a new set-up link. The password they had stops working and their browsers are
/// signed out.
#[utoipa::path(post, path = "/api/platform/v1/instances/{id}/admin-credentials", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again for 24 h")),
    request_body(content = Option<AdminCredentials>),
    responses((status = 201, body = AdminLink), (status = 404, body = ProblemDocument)))]
pub(crate) async fn renew_credentials(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
    BareCreation(creation): BareCreation<AdminCredentials>,
) -> Result<Response, Problem> {
    let actor = caller.actor();
    let work = move |app: Arc<App>, whose: AdminCredentials| async move {
        let email = whose.email.as_deref().map(Email::parse).transpose();
        let email = parse("email", email)?;
        let (email, link) = admins::renew(&app, &caller, id, email.as_ref()).await?;
        Ok((StatusCode::CREATED, AdminLink::new(&email, &link)))
    };
    creation.once(&app, actor, work).await
}

/// The generated client configuration as an env file. It holds the database's password.
#[utoipa::path(get, path = "/api/platform/v1/instances/{id}/env", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")),
    responses((status = 200, content_type = "text/plain", body = String),
        (status = 404, body = ProblemDocument)))]
pub(crate) async fn env(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(id): Id<InstanceId>,
) -> Result<Response, Problem> {
    let environment = environment::read(&app, &caller, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, environment.to_env_file()).into_response())
}
