//! Vectors of texts.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::completions::{self, Texts};
use utoipa::ToSchema;

use super::caller::{Key, Tolerant};
use super::error::{ErrorDocument, OpenAiError, require};

/// The most texts in one call, as with OpenAI.
const MOST_TEXTS: usize = 2_048;

/// Texts to be embedded. Fields that are not listed are passed over.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewEmbeddings {
    /// An embedding model of one of the configurations, or `stoa` for the one that the documents
    /// are searched with.
    model: String,
    /// A text, or up to 2,048 of them; or what they are in tokens of OpenAI's embedding models
    /// (`cl100k_base`).
    input: Input,
    /// `float` (the default) or `base64`.
    #[serde(default)]
    encoding_format: Option<String>,
    /// How long the vectors are to be, with models that can be told.
    #[serde(default)]
    dimensions: Option<u32>,
}

/// What is to be embedded.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Input {
    /// One text.
    One(String),
    /// Several.
    Several(Vec<String>),
    /// One text in tokens.
    Tokens(Vec<u32>),
    /// Several in tokens.
    TokenLists(Vec<Vec<u32>>),
    /// Something else.
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
    /// What they took.
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
    /// How many tokens were read; about, where the provider does not say.
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
    require(
        new.dimensions != Some(0),
        "dimensions",
        "Give at least 1, or leave it out.",
    )?;
    let texts = match sound(new.input)? {
        Sound::Texts(texts) => texts,
        Sound::Tokens(tokens) => completions::texts_of(&app, tokens)
            .await
            .ok_or_else(no_tokens)?,
    };
    let texts = Texts {
        texts,
        dimensions: new.dimensions,
    };
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

/// Input that may be embedded.
#[derive(Debug, PartialEq)]
enum Sound {
    Texts(Vec<String>),
    Tokens(Vec<Vec<u32>>),
}

fn sound(input: Input) -> Result<Sound, OpenAiError> {
    let sound = match input {
        Input::One(text) => Sound::Texts(vec![text]),
        Input::Several(texts) => Sound::Texts(texts),
        Input::Tokens(tokens) => Sound::Tokens(vec![tokens]),
        Input::TokenLists(lists) => Sound::Tokens(lists),
        Input::Other(_) => Sound::Texts(Vec::new()),
    };
    let (count, has_empty) = match &sound {
        Sound::Texts(texts) => (texts.len(), texts.iter().any(String::is_empty)),
        Sound::Tokens(lists) => (lists.len(), lists.iter().any(Vec::is_empty)),
    };
    require(
        (1..=MOST_TEXTS).contains(&count) && !has_empty,
        "input",
        "Give a text, or 1 to 2,048 texts, none of them empty; or the same in tokens.",
    )?;
    Ok(sound)
}

fn no_tokens() -> OpenAiError {
    let message =
        "Tokens are those of OpenAI's embedding models, cl100k_base. Send the text instead.";
    OpenAiError::invalid(Some("input"), message)
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

    fn read(input: &str) -> Result<Sound, OpenAiError> {
        let body = format!(r#"{{"model":"m","input":{input},"user":"u"}}"#);
        sound(serde_json::from_str::<NewEmbeddings>(&body).unwrap().input)
    }

    #[test]
    fn texts_and_tokens_are_taken_one_or_several() {
        let texts = |texts: &[&str]| Sound::Texts(texts.iter().map(|&it| it.to_owned()).collect());
        assert_eq!(read(r#""a""#).unwrap(), texts(&["a"]));
        assert_eq!(read(r#"["a","b"]"#).unwrap(), texts(&["a", "b"]));
        assert_eq!(read("[1,2]").unwrap(), Sound::Tokens(vec![vec![1, 2]]));
        assert_eq!(
            read("[[1],[2,3]]").unwrap(),
            Sound::Tokens(vec![vec![1], vec![2, 3]])
        );
        for wrong in [
            "[]",
            r#""""#,
            r#"["a",""]"#,
            "[[1],[]]",
            "[-1]",
            "[1.5]",
            r#"["a",1]"#,
            "7",
            "{}",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base64_is_little_endian_floats() {
        assert!(matches!(base64(&[1.0, -2.5]), Numbers::Base64(text) if text == "AACAPwAAIMA="));
    }
}
