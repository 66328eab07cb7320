//! OpenAI's chat completions and embeddings, as OpenAI and those who copied it speak them.
//!
//! Source: OpenAI's API reference, "Chat Completions" and "Embeddings". Ollama serves the same
//! under `/v1`, so its own format is not spoken.

mod address;
mod decode;
mod embeddings;
mod messages;
mod models;
mod request;

pub(crate) use self::decode::{decode_event, decode_whole};
pub(crate) use self::embeddings::{decode_embeddings, embeddings_call};
pub(crate) use self::models::{decode_models, models_call};
pub(crate) use self::request::chat_call;
use crate::error::{AiError, AiErrorCode};
use crate::wire::failures;
use crate::wire::head::KeyHeader;

/// In what those who speak this format differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The field that bounds the answer.
    pub(crate) output_limit: OutputLimit,
    /// Whether a stream reports usage only when `stream_options` asks for it.
    pub(crate) asks_for_usage: bool,
    /// What is at which address, and where the key goes.
    pub(crate) addresses: Addresses,
    /// How tools are asked for.
    pub(crate) tools: ToolWords,
    /// Whether `parallel_tool_calls` is known; OpenAI's first reasoning models refuse it.
    pub(crate) knows_one_call: bool,
    /// Whether the temperature may be said; OpenAI's reasoning models refuse any but their own.
    pub(crate) knows_temperature: bool,
    /// Whether a model wants to see again what it thought before its calls; DeepSeek's refuse a
    /// conversation that is without.
    pub(crate) wants_thoughts: bool,
}

/// Whose addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// OpenAI's, and everybody's but Azure's.
    Openai,
    /// Azure's: a deployment instead of a model, and a header of its own for the key.
    Azure,
}

/// How tools are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolWords {
    /// A call is `required`; ids are taken as they are.
    Openai,
    /// A call is demanded as `any`, and an id has nine letters and digits.
    Mistral,
}

/// The field that bounds the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputLimit {
    MaxTokens,
    MaxCompletionTokens,
}

impl Dialect {
    pub(crate) fn is_azure(self) -> bool {
        self.addresses == Addresses::Azure
    }

    fn key_header(self) -> KeyHeader {
        match self.addresses {
            Addresses::Openai => KeyHeader::Bearer,
            Addresses::Azure => KeyHeader::Named("api-key"),
        }
    }

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
        if self.knows_one_call && said.contains("parallel_tool_calls") {
            return Some(Self {
                knows_one_call: false,
                ..self
            });
        }
        if self.knows_temperature && failures::refuses_temperature(said) {
            return Some(Self {
                knows_temperature: false,
                ..self
            });
        }
        // "The reasoning_content in the thinking mode must be passed back to the API."
        if !self.wants_thoughts
            && said.contains("reasoning_content")
            && said.contains("passed back")
        {
            return Some(Self {
                wants_thoughts: true,
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
