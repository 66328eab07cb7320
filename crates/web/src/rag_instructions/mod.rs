//! How answers are made.

mod problem;

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use stoa_app::{App, rag_instructions};
use stoa_domain::{RagInstructions, Violation};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::routes::{Policy, Routes};

/// Adds the routes of the instructions.
pub(crate) fn add(routes: Routes) -> Routes {
    routes.api(Policy::ClientKey, routes!(get, put))
}

/// Instructions as they were saved.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedInstructions {
    #[serde(flatten)]
    instructions: RagInstructions,
    /// What was saved and may not be meant, such as a variable that is none. Absent when there is
    /// nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Violation>,
}

/// Shows the instructions; the default ones before they were first set.
#[utoipa::path(get, path = "/api/client/v1/rag-instructions", tag = "client",
    responses((status = 200, body = RagInstructions), (status = 401, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<axum::Json<RagInstructions>, Problem> {
    Ok(axum::Json(rag_instructions::get(&app, &caller).await?))
}

/// Replaces the instructions whole: a field that is left out gets its default. They are in effect
/// within a second.
#[utoipa::path(put, path = "/api/client/v1/rag-instructions", tag = "client", request_body = RagInstructions,
    responses((status = 200, body = SavedInstructions), (status = 422, body = ProblemDocument)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Body(instructions): Body<RagInstructions>,
) -> Result<axum::Json<SavedInstructions>, Problem> {
    let stored = rag_instructions::put(&app, &caller, instructions).await?;
    Ok(axum::Json(SavedInstructions {
        warnings: rag_instructions::warnings(&stored),
        instructions: stored,
    }))
}
