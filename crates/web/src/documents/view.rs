//! A document as the API shows it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use stoa_app::documents::Document;
use stoa_domain::{DocumentId, DocumentSource, DocumentStatus};
use utoipa::ToSchema;

/// A document.
#[derive(Serialize, ToSchema)]
pub(crate) struct DocumentView {
    /// Its id.
    id: DocumentId,
    /// Its title.
    title: String,
    /// How it came.
    source: DocumentSource,
    /// Where it is on the web.
    url: Option<String>,
    /// The name of the uploaded file.
    file_name: Option<String>,
    /// Its media type.
    media_type: String,
    /// The size of the original, in bytes.
    size: i64,
    /// Where it stands.
    status: DocumentStatus,
    /// Why it failed.
    error: Option<String>,
    /// How many passages it has.
    passages: i32,
    /// The model that embedded its passages; null when they are found by words alone.
    embedding_model: Option<String>,
    /// When it came.
    created_at: DateTime<Utc>,
    /// When it was last worked on.
    updated_at: DateTime<Utc>,
}

impl From<Document> for DocumentView {
    fn from(document: Document) -> Self {
        Self {
            id: document.id,
            title: document.title,
            source: document.source,
            url: document.url,
            file_name: document.file_name,
            media_type: document.media_type,
            size: document.byte_size,
            status: document.status,
            error: document.error,
            passages: document.chunk_count,
            embedding_model: document.embedding_model,
            created_at: document.created_at,
            updated_at: document.updated_at,
        }
    }
}
