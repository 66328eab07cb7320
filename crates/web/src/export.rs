//! Everything of an instance, as an archive that is written while it is read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use stoa_app::App;
use stoa_app::export::{self, Export, ExportError};
use utoipa_axum::routes;

use crate::http::caller::Client;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};

/// Adds the export's route.
pub(crate) fn add(routes: Routes) -> Routes {
    routes.api(Policy::ClientKey, routes!(get))
}

/// Everything of this instance: a tar with `manifest.json`, `ndjson/` (every table), `files/` (the
/// documents' original bytes) and `sql/` (for any PostgreSQL). Secrets are left out. The manifest is
/// the last entry: an archive that broke off has none.
#[utoipa::path(get, path = "/api/client/v1/export", tag = "client",
    responses((status = 200, description = "The archive", content_type = "application/x-tar"),
        (status = 401, body = ProblemDocument), (status = 409, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<Response, Problem> {
    Ok(attachment(export::of_client(&app, &caller).await?))
}

fn attachment(export: Export) -> Response {
    // A slug and a day: nothing that could end the header's value.
    let disposition = format!("attachment; filename=\"{}\"", export.file_name());
    let pieces = stream::unfold(export, |mut export| async move {
        export.next().await.map(|piece| (piece, export))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NotFound => Self::not_found(),
            ExportError::UnderWay => Self::new(
                StatusCode::CONFLICT,
                "export_under_way",
                "This instance is being exported already. Try again when that has ended.",
            ),
            ExportError::Database(error) => error.into(),
            ExportError::Registry(error) => error.into(),
            ExportError::Platform(error) => error.into(),
            ExportError::CutOff => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "restarting",
                "The server is restarting. Try again.",
            ),
            error @ (ExportError::Disk(_) | ExportError::Entry(_) | ExportError::Unread) => {
                Self::internal(&error)
            }
        }
    }
}
