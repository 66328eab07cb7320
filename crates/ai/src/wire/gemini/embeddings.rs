//! Vectors of texts.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::request::{KEY, address};
use crate::embeddings::{EmbeddingRequest, Vectors};
use crate::error::AiError;
use crate::request::Endpoint;
use crate::wire::Call;
use crate::wire::head::{accepted, encode, headers};

/// The request for vectors.
pub(crate) fn embeddings_call(
    base: &Url,
    endpoint: &Endpoint,
    request: &EmbeddingRequest<'_>,
) -> Result<Call, AiError> {
    let model = request.model;
    let name = match model.contains('/') {
        true => model.to_owned(),
        false => format!("models/{model}"),
    };
    let one = |text: &String| {
        let mut one = json!({"model": name, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = request.dimensions {
            one["outputDimensionality"] = dimensions.into();
        }
        one
    };
    let requests: Vec<Value> = request.texts.iter().map(one).collect();
    Ok(Call {
        url: address(base, model, "batchEmbedContents"),
        headers: headers(endpoint, KEY, accepted(false))?,
        body: Some(encode(&json!({"requests": requests}))?),
    })
}

/// Reads vectors, which come in the order of the inputs, of which there were `expected`.
pub(crate) fn decode_embeddings(body: &[u8], expected: usize) -> Result<Vectors, AiError> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        embeddings: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        values: Vec<f32>,
    }
    let reply: Reply = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the embeddings are not of Gemini's shape"))?;
    if reply.embeddings.len() != expected {
        return Err(AiError::protocol("the embeddings do not match the inputs"));
    }
    Ok(Vectors {
        vectors: reply.embeddings.into_iter().map(|it| it.values).collect(),
        // It gives no count.
        tokens: None,
    })
}
