//! The wire formats. Each only encodes requests and decodes replies; sending, deadlines and bounds
//! are the same for all and live elsewhere.

pub(crate) mod openai_chat;
mod said;

use http::HeaderMap;
use stoa_domain::FinishReason;
use url::Url;

pub(crate) use self::said::Said;
use crate::answer::{Completion, Usage};
use crate::error::AiError;
use crate::request::{ChatRequest, Endpoint};
use crate::sse::SseEvent;

/// A wire format, with what varies among those who speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// OpenAI's chat completions and embeddings.
    OpenaiChat(openai_chat::Dialect),
}

/// A request, ready to be sent: a POST where it has a body.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

/// A reply whose status says that it failed.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    /// As much of the body as was read.
    pub(crate) body: &'a [u8],
}

/// What an event of a stream says, in the words of every format.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// More of the answer.
    Text(String),
    /// The model is at work, though there is nothing to show: reasoning, say.
    Progress,
    /// The model that answers.
    Model(String),
    /// What was used so far; a later one replaces it.
    Usage(Usage),
    /// The model is done; usage may still follow.
    Finish {
        reason: FinishReason,
        raw: Option<String>,
    },
    /// Nothing follows.
    End,
}

impl Wire {
    /// The request for an answer.
    pub(crate) fn chat_call(
        self,
        base: &Url,
        endpoint: &Endpoint,
        request: &ChatRequest,
        streaming: bool,
    ) -> Result<Call, AiError> {
        match self {
            Self::OpenaiChat(dialect) => {
                openai_chat::chat_call(dialect, base, endpoint, request, streaming)
            }
        }
    }

    /// Reads one event of a streamed answer.
    pub(crate) fn decode(self, event: &SseEvent, parts: &mut Vec<Part>) -> Result<(), AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_event(&event.data, parts),
        }
    }

    /// Reads an answer that came whole.
    pub(crate) fn completion(self, body: &[u8]) -> Result<Completion, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_completion(body),
        }
    }

    /// The request for the vectors of `inputs`.
    pub(crate) fn embeddings_call(
        self,
        base: &Url,
        endpoint: &Endpoint,
        model: &str,
        inputs: &[String],
    ) -> Result<Call, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::embeddings_call(base, endpoint, model, inputs),
        }
    }

    /// Reads vectors, in the order of the inputs, of which there were `expected`.
    pub(crate) fn embeddings(self, body: &[u8], expected: usize) -> Result<Vec<Vec<f32>>, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_embeddings(body, expected),
        }
    }

    /// The request for the names of the models.
    pub(crate) fn models_call(self, base: &Url, endpoint: &Endpoint) -> Result<Call, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::models_call(base, endpoint),
        }
    }

    /// Reads the names of the models.
    pub(crate) fn models(self, body: &[u8]) -> Result<Vec<String>, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_models(body),
        }
    }

    /// What a failing reply means.
    pub(crate) fn explain(self, refusal: &Refusal<'_>, endpoint: &Endpoint) -> AiError {
        match self {
            Self::OpenaiChat(_) => openai_chat::explain(refusal, endpoint.api_key.as_ref()),
        }
    }

    /// Another way to ask, when `error` says that the server does not know a field of the request.
    pub(crate) fn amended(self, error: &AiError) -> Option<Self> {
        match self {
            Self::OpenaiChat(dialect) => dialect.amended(error).map(Self::OpenaiChat),
        }
    }

    /// Another base to try, when the API is not at `base`.
    pub(crate) fn other_base(self, base: &Url) -> Option<Url> {
        match self {
            Self::OpenaiChat(_) => openai_chat::other_base(base),
        }
    }
}
