//! Client API keys, as the platform issues them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::api_tokens::ApiToken;
use stoa_app::instances::api_keys;
use stoa_domain::{ApiTokenId, InstanceId};
use utoipa::ToSchema;

use crate::http::caller::Platform;
use crate::http::creation::Creation;
use crate::http::id::{Id, Ids};
use crate::http::page::List;
use crate::http::problem::{Problem, ProblemDocument};

/// A key to be issued.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// What people call it, 1 to 100 characters.
    name: String,
}

/// A key that was just issued.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuedApiKey {
    /// Its id.
    id: ApiTokenId,
    /// What people call it.
    name: String,
    /// The key, shown this once.
    key: String,
}

/// A key as people know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    /// Its id.
    id: ApiTokenId,
    /// What people call it.
    name: String,
    /// Its last four characters.
    key_hint: String,
    /// When it was issued.
    created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    last_used_at: Option<DateTime<Utc>>,
    /// Since when it opens nothing.
    revoked_at: Option<DateTime<Utc>>,
}

impl From<ApiToken> for ApiKeyView {
    fn from(key: ApiToken) -> Self {
        Self {
            id: key.id,
            name: key.name,
            key_hint: key.hint,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Issues a key to the instance's client API.
#[utoipa::path(post, path = "/api/platform/v1/instances/{id}/api-keys", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again for 24 h")),
    request_body = NewApiKey,
    responses((status = 201, body = IssuedApiKey), (status = 404, body = ProblemDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(instance): Id<InstanceId>,
    creation: Creation<NewApiKey>,
) -> Result<Response, Problem> {
    let actor = caller.actor();
    let work = move |app: Arc<App>, new: NewApiKey| async move {
        let issued = api_keys::create(&app, &caller, instance, &new.name).await?;
        let view = IssuedApiKey {
            id: issued.id,
            name: issued.name,
            key: issued.token.expose().to_owned(),
        };
        Ok((StatusCode::CREATED, view))
    };
    creation.once(&app, actor, work).await
}

/// Lists an instance's keys, the newest first, the revoked ones too.
#[utoipa::path(get, path = "/api/platform/v1/instances/{id}/api-keys", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance")),
    responses((status = 200, body = List<ApiKeyView>), (status = 404, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(instance): Id<InstanceId>,
) -> Result<axum::Json<List<ApiKeyView>>, Problem> {
    let keys = api_keys::list(&app, &caller, instance).await?;
    let data = keys.into_iter().map(ApiKeyView::from).collect();
    Ok(axum::Json(List::new(data, None)))
}

/// Revokes a key, at once and for good.
#[utoipa::path(delete, path = "/api/platform/v1/instances/{id}/api-keys/{key_id}", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance"),
        ("key_id" = ApiTokenId, Path, description = "The key")),
    responses((status = 204, description = "Revoked"), (status = 404, body = ProblemDocument)))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Ids(instance, key): Ids<InstanceId, ApiTokenId>,
) -> Result<StatusCode, Problem> {
    api_keys::revoke(&app, &caller, instance, key).await?;
    Ok(StatusCode::NO_CONTENT)
}
