//! Searching the documents as a chat does: what would be found for a question.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::search::{self, SearchHit};
use stoa_domain::{ChunkId, DocumentId};
use utoipa::ToSchema;

use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::problem::{Problem, ProblemDocument};

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// A question, 1 to 2,000 characters.
    query: String,
    /// How many passages, 1 to 50; as in chats when left out.
    top_k: Option<u16>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Found {
    /// The passages, best first.
    results: Vec<Passage>,
    /// How long it took, in milliseconds.
    took_ms: u64,
}

/// A passage that was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Passage {
    /// Its document.
    document_id: DocumentId,
    /// The document's title.
    title: String,
    /// Its own id.
    chunk_id: ChunkId,
    /// The headings above it.
    heading: Option<String>,
    /// The passage.
    text: String,
    /// 1 for a passage that is first in every leg of the search, towards 0 for others.
    score: f64,
    /// Its place by words, from 1.
    lexical_rank: Option<i32>,
    /// Its place by meaning, from 1.
    vector_rank: Option<i32>,
}

impl From<SearchHit> for Passage {
    fn from(hit: SearchHit) -> Self {
        Self {
            document_id: hit.document_id,
            title: hit.title,
            chunk_id: hit.chunk_id,
            heading: hit.heading,
            text: hit.text,
            score: hit.score,
            lexical_rank: hit.lexical_rank,
            vector_rank: hit.vector_rank,
        }
    }
}

/// Searches the documents.
#[utoipa::path(post, path = "/api/client/v1/search", tag = "client", request_body = Query,
    responses((status = 200, body = Found), (status = 422, body = ProblemDocument)))]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Body(query): Body<Query>,
) -> Result<axum::Json<Found>, Problem> {
    if query.query.trim().is_empty() || query.query.chars().count() > 2_000 {
        return Err(Problem::invalid_field("query", "1 to 2,000 characters"));
    }
    if query.top_k.is_some_and(|top_k| !(1..=50).contains(&top_k)) {
        return Err(Problem::invalid_field("top_k", "1 to 50"));
    }
    let started = Instant::now();
    let hits = search::search(&app, &caller, &query.query, query.top_k).await?;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(axum::Json(Found {
        results: hits.into_iter().map(Into::into).collect(),
        took_ms,
    }))
}
