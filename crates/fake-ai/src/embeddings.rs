//! Vectors of texts: a bag of words, hashed, so that texts which share words are near.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::failure::bad_request;
use crate::format::Format;
use crate::server::{Admitted, Asked, Shared};

/// The length of a vector where nobody says otherwise.
const DIMENSIONS: usize = 256;

/// Words this common say little about a text and would make all texts near.
const COMMON: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "for", "from", "how", "i", "if",
    "in", "is", "it", "my", "of", "on", "or", "the", "to", "we", "what", "with", "you", "your",
];

/// OpenAI's `POST /v1/embeddings`.
pub(crate) async fn openai(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::new(Format::Openai, "/v1/embeddings", headers, body);
    openais(&shared, asked).await
}

/// Azure's newer form.
pub(crate) async fn azure(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::new(Format::Azure, "/openai/v1/embeddings", headers, body);
    openais(&shared, asked).await
}

/// Azure's older form.
pub(crate) async fn azure_deployment(
    State(shared): State<Arc<Shared>>,
    Path(deployment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = "/openai/deployments/{deployment}/embeddings";
    let asked = Asked::new(Format::Azure, path, headers, body).of_model(deployment);
    openais(&shared, asked).await
}

async fn openais(shared: &Shared, asked: Asked) -> Response {
    let Admitted {
        behaviour,
        request,
        watch,
        ..
    } = match shared.admit(asked).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    tokio::time::sleep(behaviour.delay).await;
    let texts: Vec<&str> = match &request["input"] {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => return bad_request("`input` must be a text or a list of texts"),
    };
    let dimensions = behaviour.dims.unwrap_or(asked_for(&request["dimensions"]));
    let mut data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            json!({"object": "embedding", "index": index, "embedding": vector(text, dimensions)})
        })
        .collect();
    if behaviour.reversed {
        data.reverse();
    }
    if behaviour.short {
        data.pop();
    }
    let tokens: usize = texts.iter().map(|it| it.split_whitespace().count()).sum();
    watch.served();
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Json(json!({"object": "list", "data": data, "model": request["model"], "usage": usage}))
        .into_response()
}

/// The length that a request asks for, or the usual one.
fn asked_for(dimensions: &Value) -> usize {
    let asked = dimensions.as_u64().map(|it| it.clamp(1, 4096));
    asked
        .and_then(|it| usize::try_from(it).ok())
        .unwrap_or(DIMENSIONS)
}

/// Gemini's `batchEmbedContents`, which has an order and no index.
pub(crate) async fn gemini(shared: &Shared, asked: Asked) -> Response {
    let Admitted {
        behaviour,
        request,
        watch,
        ..
    } = match shared.admit(asked).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    tokio::time::sleep(behaviour.delay).await;
    let Some(requests) = request["requests"].as_array() else {
        return bad_request("`requests` must be a list");
    };
    let asked = &requests.first().unwrap_or(&Value::Null)["outputDimensionality"];
    let dimensions = behaviour.dims.unwrap_or(asked_for(asked));
    let text = |it: &Value| {
        it["content"]["parts"][0]["text"]
            .as_str()
            .map(str::to_owned)
    };
    let mut embeddings: Vec<Value> = requests
        .iter()
        .map(|it| json!({"values": vector(&text(it).unwrap_or_default(), dimensions)}))
        .collect();
    if behaviour.short {
        embeddings.pop();
    }
    watch.served();
    Json(json!({"embeddings": embeddings})).into_response()
}

/// The vector of `text`, of length 1 unless the text has no word.
pub(crate) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0_f32; dimensions];
    let lower = text.to_lowercase();
    for word in lower.split(|it: char| !it.is_alphanumeric()) {
        if word.is_empty() || COMMON.contains(&word) {
            continue;
        }
        // Plurals are the same word; longer words say more.
        let stem = word
            .strip_suffix('s')
            .filter(|it| it.len() > 2)
            .unwrap_or(word);
        let hash = fnv1a(stem.as_bytes());
        let place = usize::try_from(hash % dimensions as u64).unwrap_or_default();
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        vector[place] += sign * (stem.chars().count() as f32).sqrt();
    }
    let norm = vector.iter().map(|it| it * it).sum::<f32>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|it| *it /= norm);
    }
    vector
}

/// FNV-1a with 64 bits, and a last mixing step (from MurmurHash3) since its upper bits are weak.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        let pairs = vector(a, 256).into_iter().zip(vector(b, 256));
        pairs.map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_near_and_others_are_not() {
        let question = "How do I return my tents?";
        let near = similarity(question, "You can return a tent within 60 days.");
        let far = similarity(question, "Shipping to Norway takes a week.");
        assert!(near > 0.4, "{near}");
        assert!(far.abs() < 0.2, "{far}");
        assert!((similarity(question, question) - 1.0).abs() < 1e-5);
        assert_eq!(vector("…", 8), [0.0; 8]);
    }
}
