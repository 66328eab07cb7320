//! The list of models. OpenAI names them and says nothing else; others say more, each in its way.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{Dialect, address};
use crate::error::AiError;
use crate::models::{ModelEntry, ModelKind, ModelPage};
use crate::request::Endpoint;
use crate::wire::Call;
use crate::wire::head::{accepted, headers};

/// The request for the models. None of those who speak this format has pages.
pub(crate) fn models_call(
    dialect: Dialect,
    base: &Url,
    endpoint: &Endpoint,
) -> Result<Call, AiError> {
    Ok(Call {
        url: address::of(dialect, base, "", &["models"]),
        headers: headers(endpoint, dialect.key_header(), accepted(false))?,
        body: None,
    })
}

#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Openai {
        data: Vec<Model>,
    },
    /// Together's.
    Bare(Vec<Model>),
}

#[derive(Deserialize)]
struct Model {
    id: String,
    /// OpenRouter's name for people.
    #[serde(default)]
    name: Option<String>,
    /// OpenRouter's, Mistral's and Groq's words for one thing.
    #[serde(default, alias = "max_context_length", alias = "context_window")]
    context_length: Option<u64>,
    /// Groq's.
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    active: Option<bool>,
    /// Mistral's `completion_chat` and Azure's `chat_completion` and `embeddings`.
    #[serde(default)]
    capabilities: Option<Value>,
    /// OpenRouter's `output_modalities`.
    #[serde(default)]
    architecture: Option<Value>,
    /// OpenRouter's `max_completion_tokens`.
    #[serde(default)]
    top_provider: Option<Value>,
    /// Together's.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

/// Reads the models, without those of which the server says that they do something else.
pub(crate) fn decode_models(body: &[u8]) -> Result<ModelPage, AiError> {
    let list: List = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the list of models is not of OpenAI's shape"))?;
    let (List::Openai { data } | List::Bare(data)) = list;
    let models = data.into_iter().filter_map(|model| {
        Some(ModelEntry {
            kind: model.kind()?,
            name: model.name,
            context_window: model.context_length,
            max_output_tokens: model
                .max_completion_tokens
                .or_else(|| model.top_provider?.get("max_completion_tokens")?.as_u64()),
            id: model.id,
        })
    });
    Ok(ModelPage {
        models: models.collect(),
        next: None,
    })
}

impl Model {
    /// What it is for; `None` where it is for neither text nor vectors, or out of use.
    fn kind(&self) -> Option<ModelKind> {
        if self.active == Some(false) {
            return None;
        }
        let can = |name: &str| self.capabilities.as_ref()?.get(name)?.as_bool();
        let chats = can("completion_chat").or_else(|| can("chat_completion"));
        if chats == Some(true) {
            return Some(ModelKind::Chat);
        }
        if can("embeddings") == Some(true) {
            return Some(ModelKind::Embedding);
        }
        if chats == Some(false) {
            // Mistral has no word for those that embed; their names do.
            return self.id.contains("embed").then_some(ModelKind::Embedding);
        }
        if let Some(outputs) = self.outputs() {
            let gives = |what: &str| outputs.iter().any(|it| it == what);
            return match gives("text") {
                true => Some(ModelKind::Chat),
                false => gives("embeddings").then_some(ModelKind::Embedding),
            };
        }
        match self.kind.as_deref() {
            None => Some(ModelKind::Unknown),
            Some("chat" | "language") => Some(ModelKind::Chat),
            Some("embedding") => Some(ModelKind::Embedding),
            Some("image" | "audio" | "video" | "moderation" | "rerank" | "transcribe") => None,
            Some(_) => Some(ModelKind::Unknown),
        }
    }

    fn outputs(&self) -> Option<&Vec<Value>> {
        let outputs = self.architecture.as_ref()?.get("output_modalities")?;
        outputs.as_array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(body: &str) -> Vec<(String, ModelKind)> {
        let page = decode_models(body.as_bytes()).unwrap();
        page.models.into_iter().map(|it| (it.id, it.kind)).collect()
    }

    #[test]
    fn what_a_server_says_of_its_models_is_heeded() {
        let body = r#"{"object":"list","data":[{"id":"gpt","object":"model","owned_by":"o"}]}"#;
        assert_eq!(listed(body), [("gpt".to_owned(), ModelKind::Unknown)]);
        // mistralai 3.7.0 for Python, `ModelCapabilities`, which has no embeddings.
        let mistral = r#"{"data":[
            {"id":"large","capabilities":{"completion_chat":true},"max_context_length":131072},
            {"id":"mistral-embed","capabilities":{"completion_chat":false,"completion_fim":false,"vision":false}},
            {"id":"ocr","capabilities":{"completion_chat":false}}]}"#;
        assert_eq!(
            listed(mistral),
            [
                ("large".to_owned(), ModelKind::Chat),
                ("mistral-embed".to_owned(), ModelKind::Embedding)
            ]
        );
        let page = decode_models(mistral.as_bytes()).unwrap();
        assert_eq!(page.models[0].context_window, Some(131_072));
        let openrouter = r#"{"data":[
            {"id":"a/b","name":"A: B","context_length":1000,"top_provider":{"max_completion_tokens":100},"architecture":{"output_modalities":["text"]}},
            {"id":"a/i","name":"A: I","architecture":{"output_modalities":["image"]}}]}"#;
        assert_eq!(listed(openrouter), [("a/b".to_owned(), ModelKind::Chat)]);
        let page = decode_models(openrouter.as_bytes()).unwrap();
        assert_eq!(page.models[0].max_output_tokens, Some(100));
        let together = r#"[{"id":"t","type":"chat"},{"id":"i","type":"image"}]"#;
        assert_eq!(listed(together), [("t".to_owned(), ModelKind::Chat)]);
        let groq = r#"{"data":[{"id":"old","active":false},{"id":"new","active":true,"context_window":8192,"max_completion_tokens":4096}]}"#;
        assert_eq!(listed(groq), [("new".to_owned(), ModelKind::Unknown)]);
        assert!(decode_models(b"{}").is_err());
    }
}
