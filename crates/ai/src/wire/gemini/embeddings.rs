//! Vectors of texts.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::request::{KEY, address};
use crate::embeddings::Vectors;
use crate::error::AiError;
use crate::request::Endpoint;
use crate::wire::Call;
use crate::wire::head::{accepted, encode, headers};

/// The request for the vectors of `inputs`.
pub(crate) fn embeddings_call(
    base: &Url,
    endpoint: &Endpoint,
    model: &str,
    inputs: &[String],
) -> Result<Call, AiError> {
    let name = match model.contains('/') {
        true => model.to_owned(),
        false => format!("models/{model}"),
    };
    let request = |text: &String| json!({"model": name, "content": {"parts": [{"text": text}]}});
    let requests: Vec<Value> = inputs.iter().map(request).collect();
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
