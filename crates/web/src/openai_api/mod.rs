//! The OpenAI-compatible API: what the `openai` client libraries speak.
//!
//! Two rules of our own API do not hold here, since those libraries would not work: errors have
//! OpenAI's shape, and fields that are not known are passed over. A field that would change the
//! answer and is not supported is refused by name.

mod caller;
mod calls;
mod completion;
mod embeddings;
mod error;
mod messages;
mod models;
mod request;
mod stream;
mod tools;

use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use utoipa_axum::routes;

use crate::http::problem::Problem;
use crate::http::routes::{Policy, Routes};

/// The largest body: a conversation with long messages, or many texts to embed.
const BODY_BYTES: usize = 4 * 1024 * 1024;

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    let (schemas, paths, completions) = routes!(completion::create);
    let completions = completions.layer(DefaultBodyLimit::max(BODY_BYTES));
    let routes = routes.api(Policy::ClientKey, (schemas, paths, completions));
    let (schemas, paths, vectors) = routes!(embeddings::create);
    let vectors = vectors.layer(DefaultBodyLimit::max(BODY_BYTES));
    routes
        .api(Policy::ClientKey, (schemas, paths, vectors))
        .api(Policy::ClientKey, routes!(models::list))
        .api(Policy::ClientKey, routes!(models::get))
}

/// What is wrong with an address, said as whoever calls it expects: in OpenAI's shape under `/v1`.
pub(crate) fn in_its_shape(uri: &Uri, problem: Problem) -> Response {
    match uri.path().starts_with("/v1/") {
        true => error::OpenAiError::from(problem).into_response(),
        false => problem.into_response(),
    }
}
