//! The public part of an instance's live configuration: what a widget needs to look right.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoa_app::App;
use stoa_app::live_configuration::{self, Public};
use stoa_domain::live_configuration::{Display, Features, Theme};
use stoa_domain::{InstanceId, InstanceStatus};
use utoipa::ToSchema;

use super::origin;
use crate::http::id::Id;
use crate::http::problem::{Problem, ProblemDocument};

/// What visitors may know of an instance's settings.
#[derive(Serialize, ToSchema)]
pub(crate) struct PublicConfiguration {
    /// The instance.
    instance: PublicInstance,
    /// The chat's words.
    display: Display,
    /// The chat's looks.
    theme: Theme,
    /// What visitors can do.
    features: Features,
    /// The version of the settings; 0 before the first change.
    version: i32,
    /// Whether the chat can be used now. While it cannot, the rest is as it was when it last could.
    available: bool,
}

/// What visitors may know of an instance.
#[derive(Serialize, ToSchema)]
struct PublicInstance {
    /// Its id.
    id: InstanceId,
    /// Its name in addresses.
    slug: String,
    /// Its name.
    name: String,
    /// Whether it answers.
    status: InstanceStatus,
}

impl From<Public> for PublicConfiguration {
    fn from(public: Public) -> Self {
        Self {
            instance: PublicInstance {
                id: public.id,
                slug: public.slug.to_string(),
                name: public.name,
                status: public.status,
            },
            display: public.live.display,
            theme: public.live.theme,
            features: public.live.features,
            version: public.version,
            available: public.is_available,
        }
    }
}

/// The public part of an instance's settings.
#[utoipa::path(get, path = "/api/chat/v1/instances/{id}/configuration", tag = "chat",
    params(("id" = InstanceId, Path, description = "The instance")),
    responses((status = 200, body = PublicConfiguration), (status = 304, description = "Not changed"),
        (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Id(instance): Id<InstanceId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    origin::check(&app, &headers, instance).await?;
    let public = live_configuration::public(&app, instance)
        .await?
        .ok_or_else(Problem::not_found)?;
    let offline = if public.is_available { "" } else { "-offline" };
    let tag = format!("\"{}-{}{offline}\"", public.version, public.status);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        axum::Json(PublicConfiguration::from(public)).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
