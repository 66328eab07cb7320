//! The models that can be named.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::Serialize;
use stoa_app::completions::{self, CompletionError, ListedModel};
use stoa_app::{App, access::ClientCaller};
use utoipa::ToSchema;

use super::caller::Key;
use super::error::{ErrorDocument, OpenAiError};

/// A model.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// Its name: `stoa` for the instance's bot, else that of a configured model.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// When the instance was made, in seconds since 1970.
    created: i64,
    /// The instance's slug, or the provider.
    owned_by: String,
}

/// Models.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// The models.
    data: Vec<ModelView>,
}

/// Lists the models: `stoa`, which is the instance's bot, and the configured ones.
#[utoipa::path(get, path = "/v1/models", tag = "openai",
    responses((status = 200, body = ModelList), (status = 401, body = ErrorDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Key(caller): Key,
) -> Result<axum::Json<ModelList>, OpenAiError> {
    let models = completions::models(&app, &caller).await?;
    Ok(axum::Json(ModelList {
        object: "list",
        data: models
            .into_iter()
            .map(|model| view(&caller, model))
            .collect(),
    }))
}

/// Shows one model.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "openai",
    params(("id" = String, Path, description = "The model's name, percent-encoded")),
    responses((status = 200, body = ModelView), (status = 404, body = ErrorDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Key(caller): Key,
    Path(id): Path<String>,
) -> Result<axum::Json<ModelView>, OpenAiError> {
    let models = completions::models(&app, &caller).await?;
    let found = models.into_iter().find(|model| model.id == id);
    let model = found.ok_or(CompletionError::NoSuchModel)?;
    Ok(axum::Json(view(&caller, model)))
}

fn view(caller: &ClientCaller, model: ListedModel) -> ModelView {
    ModelView {
        id: model.id,
        object: "model",
        created: caller.registered().row().created_at.timestamp(),
        owned_by: model.owned_by,
    }
}
