//! Whether the process is alive and may be sent requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use stoa_app::App;
use utoipa::ToSchema;

use crate::http::problem::{Problem, ProblemDocument};

/// How it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

const OK: axum::Json<Health> = axum::Json(Health { status: "ok" });

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn alive() -> axum::Json<Health> {
    OK
}

/// Whether the process may be sent requests: the platform's database answers and it is not
/// shutting down. A client's database that is down changes nothing here.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = ProblemDocument)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<axum::Json<Health>, Problem> {
    if app.shutdown().is_cancelled() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "restarting",
            "The process is shutting down.",
        ));
    }
    app.platform().ping().await?;
    Ok(OK)
}
