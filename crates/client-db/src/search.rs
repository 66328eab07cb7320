//! Finding passages: by words, by meaning, and both fused by reciprocal rank.

use postgres_types::Type;
use stoa_domain::{ChunkId, DocumentId, DocumentSource};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{all, column, word},
    text_search::TextSearchConfiguration,
};

/// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009).
const RANK_CONSTANT: f64 = 60.0;
/// How much the order by words counts.
const LEXICAL_WEIGHT: f64 = 1.0;
/// How much the order by meaning counts.
const VECTOR_WEIGHT: f64 = 1.0;
/// How many passages each leg hands to the fusion.
const LEG: i64 = 50;
/// How many passages that hold any of the words are ranked at most: ranking every one of them at
/// 100,000 passages took 50 ms, at worst 177.
const LEXICAL_CANDIDATES: i64 = 2_000;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct SearchQuery<'a> {
    /// The question, in the visitor's words.
    pub text: &'a str,
    /// Its vector and the model that made it.
    pub embedding: Option<QueryEmbedding<'a>>,
    /// How many passages are wanted, 1 to 50.
    pub top_k: u16,
    /// How words are stemmed: as it was when the passages were stored.
    pub configuration: TextSearchConfiguration,
}

/// A question's vector.
#[derive(Debug, Clone, Copy)]
pub struct QueryEmbedding<'a> {
    /// The numbers.
    pub vector: &'a [f32],
    /// The model: only vectors of the same model are compared.
    pub model: &'a str,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The passage.
    pub chunk_id: ChunkId,
    /// Its document.
    pub document_id: DocumentId,
    /// The document's title.
    pub title: String,
    /// How the document came.
    pub source: DocumentSource,
    /// Where the document is on the web.
    pub url: Option<String>,
    /// What kind of bytes the document has.
    pub media_type: String,
    /// The headings above the passage.
    pub heading: Option<String>,
    /// The passage's place in the document, from 0.
    pub ordinal: i32,
    /// The passage.
    pub text: String,
    /// How long the passage is for a model.
    pub token_count: i32,
    /// 1 for a passage that is first in every leg that was searched, towards 0 for the others.
    pub score: f64,
    /// Its place by words, from 1.
    pub lexical_rank: Option<i32>,
    /// Its place by meaning, from 1.
    pub vector_rank: Option<i32>,
    /// The cosine of the angle between the question's vector and the passage's.
    pub similarity: Option<f64>,
}

/// The best passages, best first, in one statement. By words alone where the database has no
/// pgvector or the question has no vector.
pub async fn hybrid(
    connection: &ClientConnection,
    query: &SearchQuery<'_>,
) -> Result<Vec<Hit>, ClientDbError> {
    let top_k = i64::from(query.top_k.clamp(1, 50));
    let embedding = query
        .embedding
        .filter(|it| connection.has_vectors() && !it.vector.is_empty());
    let rows = match embedding {
        None => {
            connection
                .query_often(
                    LEXICAL,
                    &[
                        (&query.configuration.as_str(), Type::TEXT),
                        (&query.text, Type::TEXT),
                        (&LEXICAL_CANDIDATES, Type::INT8),
                        (&LEG, Type::INT8),
                        (&top_k, Type::INT8),
                        (&RANK_CONSTANT, Type::FLOAT8),
                    ],
                )
                .await?
        }
        Some(embedding) => {
            connection
                .query(
                    HYBRID,
                    &[
                        (&query.configuration.as_str(), Type::TEXT),
                        (&query.text, Type::TEXT),
                        (&LEXICAL_CANDIDATES, Type::INT8),
                        (&LEG, Type::INT8),
                        (&top_k, Type::INT8),
                        (&RANK_CONSTANT, Type::FLOAT8),
                        (&embedding.vector, Type::FLOAT4_ARRAY),
                        (&embedding.model, Type::TEXT),
                        (&LEXICAL_WEIGHT, Type::FLOAT8),
                        (&VECTOR_WEIGHT, Type::FLOAT8),
                    ],
                )
                .await?
        }
    };
    all(&rows, read)
}

fn read(row: &Row) -> Result<Hit, ClientDbError> {
    Ok(Hit {
        chunk_id: ChunkId::from_uuid(column::<Uuid>(row, "id")?),
        document_id: DocumentId::from_uuid(column(row, "document_id")?),
        title: column(row, "title")?,
        source: word(row, "source")?,
        url: column(row, "url")?,
        media_type: column(row, "media_type")?,
        heading: column(row, "heading")?,
        ordinal: column(row, "ordinal")?,
        text: column(row, "content")?,
        token_count: column(row, "token_count")?,
        score: column(row, "score")?,
        lexical_rank: column(row, "lexical_rank")?,
        vector_rank: column(row, "vector_rank")?,
        similarity: column(row, "similarity")?,
    })
}

/// The leg by words, shared by both statements. Passages with all words come before those with
/// some, which are looked for only when the first are too few. `ts_rank`, never `ts_rank_cd`: on
/// questions the latter found a quarter as much. 1 divides by the logarithm of the length.
macro_rules! lexical_leg {
    () => {
        "
words AS (
    SELECT every.q AS every_word,
           pg_catalog.replace(every.q::text, ' & ', ' | ')::tsquery AS any_word
    FROM (SELECT pg_catalog.plainto_tsquery($1::text::regconfig, $2) AS q) every
), with_every AS MATERIALIZED (
    SELECT c.id, pg_catalog.ts_rank(c.lexemes, (SELECT every_word FROM words), 1) AS rank
    FROM (
        SELECT id, lexemes FROM stoa.document_chunks
        WHERE lexemes @@ (SELECT every_word FROM words)
        LIMIT $3
    ) c
    ORDER BY rank DESC, c.id
    LIMIT $4
), with_any AS MATERIALIZED (
    SELECT c.id, pg_catalog.ts_rank(c.lexemes, (SELECT any_word FROM words), 1) AS rank
    FROM (
        SELECT id, lexemes FROM stoa.document_chunks
        WHERE (SELECT count(*) FROM with_every) < $5
          AND lexemes @@ (SELECT any_word FROM words)
        LIMIT $3
    ) c
    ORDER BY rank DESC, c.id
    LIMIT $4
), lexical AS (
    SELECT found.id,
           (pg_catalog.row_number() OVER (ORDER BY min(found.tier), max(found.rank) DESC, found.id))::int4
               AS place
    FROM (
        SELECT id, rank, 0 AS tier FROM with_every
        UNION ALL
        SELECT id, rank, 1 AS tier FROM with_any
    ) found
    GROUP BY found.id
    LIMIT $4
)"
    };
}

const LEXICAL: &str = concat!(
    "WITH",
    lexical_leg!(),
    "
SELECT c.id, c.document_id, d.title, d.source, d.url, d.media_type, c.heading, c.ordinal,
       c.content, c.token_count,
       ($6 + 1) / ($6 + lexical.place) AS score,
       lexical.place AS lexical_rank, NULL::int4 AS vector_rank, NULL::float8 AS similarity
FROM lexical
JOIN stoa.document_chunks c ON c.id = lexical.id
JOIN stoa.documents d ON d.id = c.document_id
ORDER BY lexical.place
LIMIT $5
"
);

const HYBRID: &str = concat!(
    "WITH",
    lexical_leg!(),
    ", nearest AS (
    SELECT near.id, near.distance,
           (pg_catalog.row_number() OVER (ORDER BY near.distance, near.id))::int4 AS place
    FROM (
        SELECT c.id, stoa.cosine_distance(c.embedding, stoa.to_vector($7)) AS distance
        FROM stoa.document_chunks c
        WHERE c.embedding_model = $8
        ORDER BY 2
        LIMIT $4
    ) near
), fused AS (
    SELECT coalesce(lexical.id, nearest.id) AS id,
           (coalesce($9 / ($6 + lexical.place), 0) + coalesce($10 / ($6 + nearest.place), 0))
               * ($6 + 1) / ($9 + $10) AS score,
           lexical.place AS lexical_rank, nearest.place AS vector_rank,
           1 - nearest.distance AS similarity
    FROM lexical
    FULL JOIN nearest ON nearest.id = lexical.id
)
SELECT c.id, c.document_id, d.title, d.source, d.url, d.media_type, c.heading, c.ordinal,
       c.content, c.token_count, fused.score, fused.lexical_rank, fused.vector_rank,
       fused.similarity
FROM fused
JOIN stoa.document_chunks c ON c.id = fused.id
JOIN stoa.documents d ON d.id = c.document_id
ORDER BY fused.score DESC, fused.vector_rank NULLS LAST, c.id
LIMIT $5
"
);
