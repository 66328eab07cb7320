//! The passages of documents.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::{ChunkId, DocumentId};
use uuid::Uuid;

use crate::{
    connection::ClientConnection, error::ClientDbError, text_search::TextSearchConfiguration,
};

/// How many passages go in one statement: 128 of 1,536 dimensions are 0.8 MB.
const BATCH: usize = 128;

/// A passage as it comes.
#[derive(Debug, Clone, Copy)]
pub struct NewChunk<'a> {
    /// Its id.
    pub id: ChunkId,
    /// Its place in the document, from 0.
    pub ordinal: i32,
    /// The headings above it.
    pub heading: Option<&'a str>,
    /// The text.
    pub text: &'a str,
    /// How long it is for a model.
    pub token_count: i32,
    /// Its vector; all or none of a document's passages have one, all of one length.
    pub embedding: Option<&'a [f32]>,
}

/// The passages of a document as indexing made them.
#[derive(Debug, Clone)]
pub struct NewChunks<'a> {
    /// The document.
    pub document: DocumentId,
    /// The generation for which they were made.
    pub generation: i64,
    /// The passages.
    pub chunks: &'a [NewChunk<'a>],
    /// Which model made their vectors.
    pub embedding_model: Option<&'a str>,
    /// How their words are stemmed.
    pub configuration: TextSearchConfiguration,
    /// Now.
    pub now: DateTime<Utc>,
}

/// Replaces all passages of a document and marks it ready, in one transaction.
///
/// False, and nothing changed, when the document is gone or was handed to a newer job. Vectors are
/// left out, and the model with them, where the database has no pgvector.
pub async fn replace_all(
    connection: &mut ClientConnection,
    new: &NewChunks<'_>,
) -> Result<bool, ClientDbError> {
    let dimensions = new
        .chunks
        .first()
        .and_then(|it| it.embedding)
        .map(<[f32]>::len);
    let dimensions = dimensions.filter(|count| {
        connection.has_vectors()
            && new.embedding_model.is_some()
            && *count > 0
            && new
                .chunks
                .iter()
                .all(|it| it.embedding.is_some_and(|v| v.len() == *count))
    });
    let model = dimensions.and(new.embedding_model);
    let transaction = connection.begin().await?;
    let count = i32::try_from(new.chunks.len()).unwrap_or(i32::MAX);
    // The document's row is locked by this until the end, so two jobs cannot interleave.
    let claimed = transaction
        .execute(
            "WITH claimed AS (
                UPDATE stoa.documents
                SET status = 'ready', error = NULL, chunk_count = $3, embedding_model = $4,
                    updated_at = $5
                WHERE id = $1 AND generation = $2
                RETURNING id
             ), gone AS (
                DELETE FROM stoa.document_chunks c USING claimed WHERE c.document_id = claimed.id
             )
             SELECT id FROM claimed",
            &[
                (&new.document.as_uuid(), Type::UUID),
                (&new.generation, Type::INT8),
                (&count, Type::INT4),
                (&model, Type::TEXT),
                (&new.now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    if claimed == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    for batch in new.chunks.chunks(BATCH) {
        insert_batch(&transaction, new, batch, dimensions).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn insert_batch(
    connection: &ClientConnection,
    new: &NewChunks<'_>,
    batch: &[NewChunk<'_>],
    dimensions: Option<usize>,
) -> Result<(), ClientDbError> {
    let ids: Vec<Uuid> = batch.iter().map(|it| it.id.as_uuid()).collect();
    let ordinals: Vec<i32> = batch.iter().map(|it| it.ordinal).collect();
    let headings: Vec<Option<&str>> = batch.iter().map(|it| it.heading).collect();
    let texts: Vec<&str> = batch.iter().map(|it| it.text).collect();
    let token_counts: Vec<i32> = batch.iter().map(|it| it.token_count).collect();
    let Some(dimensions) = dimensions else {
        connection
            .execute(
                "INSERT INTO stoa.document_chunks
                    (id, document_id, ordinal, heading, content, token_count, lexemes)
                 SELECT n.id, $1, n.ordinal, n.heading, n.content, n.token_count,
                        pg_catalog.setweight(pg_catalog.to_tsvector($2::text::regconfig,
                            coalesce(n.heading, '')), 'B')
                        || pg_catalog.to_tsvector($2::text::regconfig, n.content)
                 FROM unnest($3::uuid[], $4::int4[], $5::text[], $6::text[], $7::int4[])
                    AS n (id, ordinal, heading, content, token_count)",
                &[
                    (&new.document.as_uuid(), Type::UUID),
                    (&new.configuration.as_str(), Type::TEXT),
                    (&ids, Type::UUID_ARRAY),
                    (&ordinals, Type::INT4_ARRAY),
                    (&headings, Type::TEXT_ARRAY),
                    (&texts, Type::TEXT_ARRAY),
                    (&token_counts, Type::INT4_ARRAY),
                ],
            )
            .await?;
        return Ok(());
    };
    // All vectors of the batch end to end; the statement cuts them apart again.
    let numbers: Vec<f32> = batch
        .iter()
        .filter_map(|it| it.embedding)
        .flatten()
        .copied()
        .collect();
    let dimensions = i32::try_from(dimensions).unwrap_or(i32::MAX);
    connection
        .execute(
            "INSERT INTO stoa.document_chunks
                (id, document_id, ordinal, heading, content, token_count, lexemes,
                 embedding_model, embedding)
             SELECT n.id, $1, n.ordinal, n.heading, n.content, n.token_count,
                    pg_catalog.setweight(pg_catalog.to_tsvector($2::text::regconfig,
                        coalesce(n.heading, '')), 'B')
                    || pg_catalog.to_tsvector($2::text::regconfig, n.content),
                    $8, stoa.to_vector(
                        ($9::float4[])[(n.at::int4 - 1) * $10 + 1 : n.at::int4 * $10])
             FROM unnest($3::uuid[], $4::int4[], $5::text[], $6::text[], $7::int4[])
                WITH ORDINALITY AS n (id, ordinal, heading, content, token_count, at)",
            &[
                (&new.document.as_uuid(), Type::UUID),
                (&new.configuration.as_str(), Type::TEXT),
                (&ids, Type::UUID_ARRAY),
                (&ordinals, Type::INT4_ARRAY),
                (&headings, Type::TEXT_ARRAY),
                (&texts, Type::TEXT_ARRAY),
                (&token_counts, Type::INT4_ARRAY),
                (&new.embedding_model, Type::TEXT),
                (&numbers, Type::FLOAT4_ARRAY),
                (&dimensions, Type::INT4),
            ],
        )
        .await?;
    Ok(())
}
