//! The client's AI providers.

mod dto;
mod models;
mod problem;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stoa_app::{App, api_configurations};
use stoa_domain::ApiConfigurationId;
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::once::Once;
use crate::http::page::List;
use crate::http::params::Params;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use dto::{ApiConfigurationChanges, ApiConfigurationView, NewApiConfiguration, TrialView};
use models::{ModelView, ModelsQuery};

/// Adds the routes of AI configurations.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(list, create))
        .api(Policy::ClientKey, routes!(get, change, remove))
        .api(Policy::ClientKey, routes!(test))
        .api(Policy::ClientKey, routes!(models))
}

/// All AI configurations, in the order in which they are tried.
#[utoipa::path(get, path = "/api/client/v1/api-configurations", tag = "client",
    responses((status = 200, body = List<ApiConfigurationView>), (status = 401, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<axum::Json<List<ApiConfigurationView>>, Problem> {
    let configurations = api_configurations::list(&app, &caller).await?;
    let configurations = configurations.into_iter().map(Into::into).collect();
    Ok(axum::Json(List::new(configurations, None)))
}

/// Adds an AI configuration. Test it next: an instance becomes active when its database is
/// connected and one configuration has passed its test.
#[utoipa::path(post, path = "/api/client/v1/api-configurations", tag = "client",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again")),
    request_body = NewApiConfiguration,
    responses((status = 201, body = ApiConfigurationView), (status = 422, body = ProblemDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    request: Once<NewApiConfiguration>,
) -> Result<Response, Problem> {
    let add = async |app: Arc<App>, caller, new: NewApiConfiguration| {
        let provider = new.provider;
        let added = api_configurations::add(&app, &caller, provider, new.into()).await?;
        Ok(ApiConfigurationView::from(added))
    };
    request.run(&app, &caller, StatusCode::CREATED, add).await
}

/// One AI configuration.
#[utoipa::path(get, path = "/api/client/v1/api-configurations/{id}", tag = "client",
    params(("id" = ApiConfigurationId, Path, description = "The configuration")),
    responses((status = 200, body = ApiConfigurationView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ApiConfigurationId>,
) -> Result<axum::Json<ApiConfigurationView>, Problem> {
    let found = api_configurations::find(&app, &caller, id).await?;
    Ok(axum::Json(found.into()))
}

/// Changes an AI configuration. A stored key goes to no other address than the one it was given
/// for: with another `provider` or `base_url`, send `api_key` again, or null to go without.
#[utoipa::path(patch, path = "/api/client/v1/api-configurations/{id}", tag = "client",
    params(("id" = ApiConfigurationId, Path, description = "The configuration")),
    request_body = ApiConfigurationChanges,
    responses((status = 200, body = ApiConfigurationView), (status = 404, body = ProblemDocument),
        (status = 422, description = "`invalid_body`, or `key_required`", body = ProblemDocument)))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ApiConfigurationId>,
    Body(changes): Body<ApiConfigurationChanges>,
) -> Result<axum::Json<ApiConfigurationView>, Problem> {
    let changed = api_configurations::change(&app, &caller, id, changes.into()).await?;
    Ok(axum::Json(changed.into()))
}

/// Removes an AI configuration.
#[utoipa::path(delete, path = "/api/client/v1/api-configurations/{id}", tag = "client",
    params(("id" = ApiConfigurationId, Path, description = "The configuration")),
    responses((status = 204), (status = 404, body = ProblemDocument)))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ApiConfigurationId>,
) -> Result<StatusCode, Problem> {
    api_configurations::remove(&app, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests an AI configuration by a call of a few tokens, and by embedding two words where it names a
/// model for that. Answers 200 however the provider answers.
#[utoipa::path(post, path = "/api/client/v1/api-configurations/{id}/test", tag = "client",
    params(("id" = ApiConfigurationId, Path, description = "The configuration")),
    responses((status = 200, body = TrialView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ApiConfigurationId>,
) -> Result<axum::Json<TrialView>, Problem> {
    let trial = api_configurations::test(&app, &caller, id).await?;
    Ok(axum::Json(trial.into()))
}

/// The models that an AI configuration's key may use, as its provider lists them, without those
/// that it says are for something else than answering and embedding. A list is kept for an hour.
#[utoipa::path(get, path = "/api/client/v1/api-configurations/{id}/models", tag = "client",
    params(("id" = ApiConfigurationId, Path, description = "The configuration"), ModelsQuery),
    responses((status = 200, body = List<ModelView>), (status = 404, body = ProblemDocument),
        (status = 502, description = "`models_unavailable`: what the provider said", body = ProblemDocument)))]
pub(crate) async fn models(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<ApiConfigurationId>,
    Params(query): Params<ModelsQuery>,
) -> Result<axum::Json<List<ModelView>>, Problem> {
    let models = api_configurations::models(&app, &caller, id, query.refresh()?).await?;
    let models = models.into_iter().map(Into::into).collect();
    Ok(axum::Json(List::new(models, None)))
}
