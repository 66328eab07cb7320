//! The client's documents. Lists and look-ups never carry the bytes.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{DocumentId, DocumentSource, DocumentStatus};
use tokio_postgres::Row;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    page::{Cursor, Page, PageRequest},
    row::{all, column, one, word},
};

/// The most bytes that a document's content may have to be read back: 32 MiB.
const LARGEST_CONTENT: u64 = 32 * 1024 * 1024;

/// A document as it comes.
#[derive(Debug, Clone)]
pub struct NewDocument<'a> {
    /// Its id.
    pub id: DocumentId,
    /// What it is called.
    pub title: &'a str,
    /// How it came.
    pub source: DocumentSource,
    /// Where it is on the web.
    pub url: Option<&'a str>,
    /// The name of the file. Data only: no path is built from it.
    pub file_name: Option<&'a str>,
    /// What kind of bytes these are.
    pub media_type: &'a str,
    /// The SHA-256 of the bytes.
    pub content_sha256: [u8; 32],
    /// The bytes.
    pub content: &'a [u8],
    /// Now.
    pub created_at: DateTime<Utc>,
}

/// A document without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// What it is called.
    pub title: String,
    /// How it came.
    pub source: DocumentSource,
    /// Where it is on the web.
    pub url: Option<String>,
    /// The name of the file.
    pub file_name: Option<String>,
    /// What kind of bytes it has.
    pub media_type: String,
    /// How many bytes.
    pub byte_size: i64,
    /// Where it stands.
    pub status: DocumentStatus,
    /// Why it failed, in a sentence for people.
    pub error: Option<String>,
    /// How often it was handed to indexing, which gives this number back.
    pub generation: i64,
    /// How many passages are found by search.
    pub chunk_count: i32,
    /// Which model embedded them, if one did.
    pub embedding_model: Option<String>,
    /// When it came.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A document's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentContent {
    /// What it is called.
    pub title: String,
    /// The name of the file.
    pub file_name: Option<String>,
    /// What kind of bytes these are.
    pub media_type: String,
    /// The bytes; absent when they are in the client's object storage.
    pub content: Option<Vec<u8>>,
}

/// Stores a document in state `queued`, generation 1.
pub async fn insert(
    connection: &ClientConnection,
    document: &NewDocument<'_>,
) -> Result<(), ClientDbError> {
    let size = i64::try_from(document.content.len()).unwrap_or(i64::MAX);
    connection
        .execute(
            "INSERT INTO stoa.documents
                (id, title, source, url, file_name, media_type, byte_size, content_sha256, content,
                 status, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $10)",
            &[
                (&document.id.as_uuid(), Type::UUID),
                (&document.title, Type::TEXT),
                (&document.source.as_str(), Type::TEXT),
                (&document.url, Type::TEXT),
                (&document.file_name, Type::TEXT),
                (&document.media_type, Type::TEXT),
                (&size, Type::INT8),
                (&document.content_sha256.as_slice(), Type::BYTEA),
                (&document.content, Type::BYTEA),
                (&document.created_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// The document with this id.
pub async fn find(
    connection: &ClientConnection,
    id: DocumentId,
) -> Result<Option<Document>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT id, title, source, url, file_name, media_type, byte_size, status, error,
                    generation, chunk_count, embedding_model, created_at, updated_at
             FROM stoa.documents WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    one(&rows, read)
}

/// Documents, newest first.
pub async fn list(
    connection: &ClientConnection,
    status: Option<DocumentStatus>,
    request: &PageRequest,
) -> Result<Page<Document>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT id, title, source, url, file_name, media_type, byte_size, status, error,
                    generation, chunk_count, embedding_model, created_at, updated_at
             FROM stoa.documents
             WHERE ($1::text IS NULL OR status = $1)
               AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
             ORDER BY created_at DESC, id DESC
             LIMIT $4",
            &[
                (&status.map(DocumentStatus::as_str), Type::TEXT),
                (&request.after_time(), Type::TIMESTAMPTZ),
                (&request.after_id(), Type::UUID),
                (&request.rows_to_read(), Type::INT8),
            ],
        )
        .await?;
    let documents = all(&rows, read)?;
    Ok(request.page(documents, |it| Cursor {
        at: it.created_at,
        id: it.id.as_uuid(),
    }))
}

/// The bytes of a document.
pub async fn content(
    connection: &ClientConnection,
    id: DocumentId,
) -> Result<Option<DocumentContent>, ClientDbError> {
    let rows = connection
        .query_large(
            LARGEST_CONTENT,
            "SELECT title, file_name, media_type, content FROM stoa.documents WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    one(&rows, |row| {
        Ok(DocumentContent {
            title: column(row, "title")?,
            file_name: column(row, "file_name")?,
            media_type: column(row, "media_type")?,
            content: column(row, "content")?,
        })
    })
}

/// Moves a document to `status` on behalf of the job that indexes `generation`. False when the
/// document is gone or was handed to a newer job, which then has the say.
pub async fn set_status(
    connection: &ClientConnection,
    id: DocumentId,
    generation: i64,
    status: DocumentStatus,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "UPDATE stoa.documents SET status = $3, error = $4, updated_at = $5
             WHERE id = $1 AND generation = $2",
            &[
                (&id.as_uuid(), Type::UUID),
                (&generation, Type::INT8),
                (&status.as_str(), Type::TEXT),
                (&error, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Queues a document to be indexed again and gives the new generation. Its passages stay in use
/// until the new ones are complete.
pub async fn requeue(
    connection: &ClientConnection,
    id: DocumentId,
    now: DateTime<Utc>,
) -> Result<Option<i64>, ClientDbError> {
    let rows = connection
        .query(
            "UPDATE stoa.documents
             SET generation = generation + 1, status = 'queued', error = NULL, updated_at = $2
             WHERE id = $1 RETURNING generation",
            &[(&id.as_uuid(), Type::UUID), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    one(&rows, |row| column(row, "generation"))
}

/// Removes a document and its passages. False when there is none.
pub async fn delete(connection: &ClientConnection, id: DocumentId) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "DELETE FROM stoa.documents WHERE id = $1",
            &[(&id.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}

fn read(row: &Row) -> Result<Document, ClientDbError> {
    Ok(Document {
        id: DocumentId::from_uuid(column(row, "id")?),
        title: column(row, "title")?,
        source: word(row, "source")?,
        url: column(row, "url")?,
        file_name: column(row, "file_name")?,
        media_type: column(row, "media_type")?,
        byte_size: column(row, "byte_size")?,
        status: word(row, "status")?,
        error: column(row, "error")?,
        generation: column(row, "generation")?,
        chunk_count: column(row, "chunk_count")?,
        embedding_model: column(row, "embedding_model")?,
        created_at: column(row, "created_at")?,
        updated_at: column(row, "updated_at")?,
    })
}
