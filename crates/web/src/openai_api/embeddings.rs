//! Vectors of texts.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::completions;
use utoipa::ToSchema;

use super::caller::{Key, Tolerant};
use super::error::{ErrorDocument, OpenAiError};

/// The most texts in one call, as with OpenAI.
const MOST_TEXTS: usize = 2_048;

/// Texts to be embedded. Fields that are not listed are passed over.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewEmbeddings {
    /// An embedding model of one of the configurations, or `stoa` for the one that the documents
    /// are searched with.
    model: String,
    /// A text, or up to 2,048 of them. Lists of tokens are not taken.
    input: Input,
    /// `float` (the default) or `base64`.
    #[serde(default)]
    encoding_format: Option<String>,
    /// Not supported: vectors have the length that the model gives them.
    #[serde(default)]
    dimensions: Option<u64>,
}

/// What is to be embedded.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Input {
    /// One text.
    One(String),
    /// Several.
    Several(Vec<String>),
    /// Tokens, or something else.
    #[schema(value_type = Object)]
    Other(serde::de::IgnoredAny),
}

/// Vectors, in the order of their texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingList {
    /// Always `list`.
    object: &'static str,
    /// The vectors.
    data: Vec<EmbeddingView>,
    /// The model that made them.
    model: String,
    /// What they took, about.
    usage: EmbeddingUsage,
}

/// One vector.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingView {
    /// Always `embedding`.
    object: &'static str,
    /// Its text's place, from 0.
    index: usize,
    /// The numbers.
    embedding: Numbers,
}

/// A vector's numbers.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Numbers {
    /// As JSON.
    Float(Vec<f32>),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}

/// What vectors took.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingUsage {
    /// About how many tokens were read.
    prompt_tokens: i64,
    /// The same.
    total_tokens: i64,
}

/// Makes vectors of texts, with the instance's own provider and key.
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", request_body = NewEmbeddings,
    responses((status = 200, body = EmbeddingList), (status = 400, body = ErrorDocument),
        (status = 404, body = ErrorDocument), (status = 429, body = ErrorDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Key(caller): Key,
    Tolerant(new): Tolerant<NewEmbeddings>,
) -> Result<axum::Json<EmbeddingList>, OpenAiError> {
    let in_base64 = match new.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(OpenAiError::invalid(
                Some("encoding_format"),
                "Give “float” or “base64”.",
            ));
        }
    };
    if new.dimensions.is_some() {
        return Err(OpenAiError::unsupported(
            "dimensions",
            "Vectors have the length that the model gives them. Leave “dimensions” out.",
        ));
    }
    let texts = texts(new.input)?;
    let made = completions::embed(&app, &caller, &new.model, &texts).await?;
    let view = |(index, vector): (usize, Vec<f32>)| EmbeddingView {
        object: "embedding",
        index,
        embedding: if in_base64 {
            base64(&vector)
        } else {
            Numbers::Float(vector)
        },
    };
    Ok(axum::Json(EmbeddingList {
        object: "list",
        data: made.vectors.into_iter().enumerate().map(view).collect(),
        model: made.model,
        usage: EmbeddingUsage {
            prompt_tokens: made.tokens,
            total_tokens: made.tokens,
        },
    }))
}

fn texts(input: Input) -> Result<Vec<String>, OpenAiError> {
    let texts = match input {
        Input::One(text) => vec![text],
        Input::Several(texts) => texts,
        Input::Other(_) => Vec::new(),
    };
    let sound =
        (1..=MOST_TEXTS).contains(&texts.len()) && texts.iter().all(|text| !text.is_empty());
    if sound {
        return Ok(texts);
    }
    Err(OpenAiError::invalid(
        Some("input"),
        format!(
            "Give a text, or 1 to {MOST_TEXTS} texts, none of them empty; lists of tokens are not taken."
        ),
    ))
}

fn base64(vector: &[f32]) -> Numbers {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    Numbers::Base64(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<String>, OpenAiError> {
        let new: NewEmbeddings = serde_json::from_str(json).unwrap();
        texts(new.input)
    }

    #[test]
    fn one_text_and_several_are_taken_and_tokens_are_not() {
        assert_eq!(
            read(r#"{"model":"m","input":"a","user":"u"}"#).unwrap(),
            ["a"]
        );
        assert_eq!(
            read(r#"{"model":"m","input":["a","b"]}"#).unwrap(),
            ["a", "b"]
        );
        for wrong in ["[]", "[1,2]", "[[1],[2]]", "[\"a\",\"\"]", "7", "{}"] {
            assert!(
                read(&format!(r#"{{"model":"m","input":{wrong}}}"#)).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn base64_is_little_endian_floats() {
        assert!(matches!(base64(&[1.0, -2.5]), Numbers::Base64(text) if text == "AACAPwAAIMA="));
    }
}
