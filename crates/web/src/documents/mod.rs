//! The client's documents and the search over them.

mod content;
mod problem;
mod search;
mod upload;
mod view;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use serde::Deserialize;
use stoa_app::App;
use stoa_app::documents;
use stoa_domain::{DocumentId, DocumentStatus};
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::page::{List, PageQuery};
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};
use view::DocumentView;

/// A multipart body is a little larger than the file in it.
const UPLOAD_BYTES: usize = documents::LARGEST_DOCUMENT + 64 * 1024;

/// Adds the documents' routes.
pub(crate) fn add(routes: Routes) -> Routes {
    let (schemas, paths, uploads) = routes!(upload::add);
    routes
        .api(
            Policy::ClientKey,
            (
                schemas,
                paths,
                uploads.layer(DefaultBodyLimit::max(UPLOAD_BYTES)),
            ),
        )
        .api(Policy::ClientKey, routes!(list))
        .api(Policy::ClientKey, routes!(get, delete))
        .api(Policy::ClientKey, routes!(reindex))
        .api(Policy::ClientKey, routes!(content::get))
        .api(Policy::ClientKey, routes!(search::search))
}

/// Which documents are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DocumentFilter {
    /// Only those with this status.
    status: Option<DocumentStatus>,
}

/// Documents, newest first.
#[utoipa::path(get, path = "/api/client/v1/documents", tag = "client", params(DocumentFilter, PageQuery),
    responses((status = 200, body = List<DocumentView>), (status = 401, body = ProblemDocument)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    filter: Result<axum::extract::Query<DocumentFilter>, axum::extract::rejection::QueryRejection>,
    page: PageQuery,
) -> Result<axum::Json<List<DocumentView>>, Problem> {
    let filter = filter.map_err(|_| {
        Problem::invalid_field("status", "queued, extracting, embedding, ready or failed")
    })?;
    let documents = documents::list(&app, &caller, filter.status, &page.request()?).await?;
    Ok(axum::Json(List::from_page(documents)))
}

/// One document.
#[utoipa::path(get, path = "/api/client/v1/documents/{id}", tag = "client",
    params(("id" = DocumentId, Path, description = "The document")),
    responses((status = 200, body = DocumentView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<DocumentId>,
) -> Result<axum::Json<DocumentView>, Problem> {
    Ok(axum::Json(documents::find(&app, &caller, id).await?.into()))
}

/// Removes a document and its passages.
#[utoipa::path(delete, path = "/api/client/v1/documents/{id}", tag = "client",
    params(("id" = DocumentId, Path, description = "The document")),
    responses((status = 204), (status = 404, body = ProblemDocument)))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<DocumentId>,
) -> Result<StatusCode, Problem> {
    documents::delete(&app, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Indexes a document again; its passages stay in use until the new ones are complete.
#[utoipa::path(post, path = "/api/client/v1/documents/{id}/reindex", tag = "client",
    params(("id" = DocumentId, Path, description = "The document")),
    responses((status = 202, body = DocumentView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn reindex(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<DocumentId>,
) -> Result<(StatusCode, axum::Json<DocumentView>), Problem> {
    let document = documents::reindex(&app, &caller, id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(document.into())))
}
