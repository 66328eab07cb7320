//! Vectors of texts.

use serde::{Deserialize, Serialize};
use stoa_domain::Provider;
use url::Url;

use super::{Dialect, address};
use crate::embeddings::{EmbeddingRequest, Vectors};
use crate::error::AiError;
use crate::request::Endpoint;
use crate::wire::Call;
use crate::wire::head::{accepted, encode, headers};

/// The request for vectors. Mistral has a word of its own for their length.
pub(crate) fn embeddings_call(
    dialect: Dialect,
    base: &Url,
    endpoint: &Endpoint,
    request: &EmbeddingRequest<'_>,
) -> Result<Call, AiError> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        input: &'a [String],
        encoding_format: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        dimensions: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        output_dimension: Option<u32>,
    }
    let is_mistral = endpoint.provider == Provider::Mistral;
    let body = Body {
        model: request.model,
        input: request.texts,
        encoding_format: "float",
        dimensions: request.dimensions.filter(|_| !is_mistral),
        output_dimension: request.dimensions.filter(|_| is_mistral),
    };
    Ok(Call {
        url: address::of(dialect, base, request.model, &["embeddings"]),
        headers: headers(endpoint, dialect.key_header(), accepted(false))?,
        body: Some(encode(&body)?),
    })
}

/// Reads vectors into the order of the inputs, of which there were `expected`.
pub(crate) fn decode_embeddings(body: &[u8], expected: usize) -> Result<Vectors, AiError> {
    #[derive(Deserialize)]
    struct Reply {
        data: Vec<Item>,
        usage: Option<Counted>,
    }
    #[derive(Deserialize)]
    struct Counted {
        prompt_tokens: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Item {
        index: Option<usize>,
        embedding: Vec<f32>,
    }
    let reply: Reply = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the embeddings are not of OpenAI's shape"))?;
    let mut vectors = vec![Vec::new(); expected];
    for (position, item) in reply.data.into_iter().enumerate() {
        let slot = vectors
            .get_mut(item.index.unwrap_or(position))
            .filter(|it| it.is_empty())
            .ok_or_else(|| AiError::protocol("the embeddings do not match the inputs"))?;
        *slot = item.embedding;
    }
    Ok(Vectors {
        vectors,
        tokens: reply.usage.and_then(|it| it.prompt_tokens),
    })
}
