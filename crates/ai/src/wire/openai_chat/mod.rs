//! OpenAI's chat completions and embeddings, as OpenAI and those who copied it speak them.
//!
//! Source: OpenAI's API reference, "Chat Completions" and "Embeddings". Ollama serves the same
//! under `/v1`, so its own format is not spoken.

mod decode;
mod embeddings;
mod errors;
mod request;

use url::Url;

pub(crate) use self::decode::{decode_completion, decode_event};
pub(crate) use self::embeddings::{decode_embeddings, embeddings_call};
pub(crate) use self::errors::explain;
pub(crate) use self::request::{chat_call, decode_models, models_call};
use crate::error::{AiError, AiErrorCode};

/// In what those who speak this format differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The field that bounds the answer.
    pub(crate) output_limit: OutputLimit,
    /// Whether a stream reports usage only when `stream_options` asks for it.
    pub(crate) asks_for_usage: bool,
}

/// The field that bounds the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputLimit {
    MaxTokens,
    MaxCompletionTokens,
}

impl Dialect {
    /// The dialect of a server that refused a request for a field that it does not know. It costs
    /// one more round trip in every call, and lets such servers be used at all.
    pub(crate) fn amended(self, error: &AiError) -> Option<Self> {
        if error.code() != AiErrorCode::Rejected {
            return None;
        }
        let said = error.provider_message()?;
        if self.asks_for_usage && said.contains("stream_options") {
            return Some(Self {
                asks_for_usage: false,
                ..self
            });
        }
        let output_limit = match self.output_limit {
            OutputLimit::MaxTokens if said.contains("max_completion_tokens") => {
                OutputLimit::MaxCompletionTokens
            }
            OutputLimit::MaxCompletionTokens if said.contains("max_completion_tokens") => {
                OutputLimit::MaxTokens
            }
            _ => return None,
        };
        Some(Self {
            output_limit,
            ..self
        })
    }
}

/// `/v1` under a base that has no path: most servers of this format have their API there, and
/// people paste addresses without it.
pub(crate) fn other_base(base: &Url) -> Option<Url> {
    if !base.path().trim_matches('/').is_empty() {
        return None;
    }
    let mut other = base.clone();
    other.set_path("/v1");
    Some(other)
}
