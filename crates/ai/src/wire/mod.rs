//! The wire formats. Each only encodes requests and decodes replies; sending, deadlines and bounds
//! are the same for all and live elsewhere.

pub(crate) mod anthropic;
mod failures;
pub(crate) mod gemini;
mod head;
pub(crate) mod openai_chat;
mod part;
mod said;
mod sides;
mod surrogates;
mod wait;

use http::HeaderMap;
use stoa_outbound::SseEvent;
use url::Url;

pub(crate) use self::part::{CallPart, Part, UsagePart, count};
pub(crate) use self::said::Said;
use crate::embeddings::{EmbeddingRequest, Vectors};
use crate::error::AiError;
use crate::models::ModelPage;
use crate::request::{ChatRequest, Endpoint};

/// A wire format, with what varies among those who speak it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// OpenAI's chat completions and embeddings.
    OpenaiChat(openai_chat::Dialect),
    /// Anthropic's messages.
    Anthropic(anthropic::Dialect),
    /// Google's `generateContent`.
    Gemini,
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
            Self::Anthropic(dialect) => {
                anthropic::chat_call(dialect, base, endpoint, request, streaming)
            }
            Self::Gemini => gemini::chat_call(base, endpoint, request, streaming),
        }
    }

    /// Reads one event of a streamed answer.
    pub(crate) fn decode(self, event: &SseEvent, parts: &mut Vec<Part>) -> Result<(), AiError> {
        match event.data.trim() {
            // Some servers keep a connection awake by events without a word.
            "" => return Ok(()),
            // OpenAI's end; gateways put it after the streams of every format.
            "[DONE]" => {
                parts.push(Part::End);
                return Ok(());
            }
            said if event.kind.as_deref() == Some("error") => {
                return Err(failures::in_stream(&Said::parse(said.as_bytes())));
            }
            _ => {}
        }
        match self.decode_data(event, parts) {
            Ok(()) => {}
            Err(error) => match surrogates::mended(&event.data) {
                Some(data) => {
                    let kind = event.kind.clone();
                    self.decode_data(&SseEvent { kind, data }, parts)?;
                }
                None => return Err(error),
            },
        }
        self.forget_thoughts(parts);
        Ok(())
    }

    fn decode_data(self, event: &SseEvent, parts: &mut Vec<Part>) -> Result<(), AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_event(&event.data, parts),
            Self::Anthropic(_) => anthropic::decode_event(event, parts),
            Self::Gemini => gemini::decode_event(&event.data, parts),
        }
    }

    /// Reads an answer that came whole.
    pub(crate) fn decode_whole(self, body: &[u8]) -> Result<Vec<Part>, AiError> {
        let mut parts = Vec::new();
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_whole(body, &mut parts),
            Self::Anthropic(_) => anthropic::decode_whole(body, &mut parts),
            Self::Gemini => gemini::decode_whole(body, &mut parts),
        }
        .map_err(|error| error.having_taken(UsagePart::of(&parts).known()))?;
        self.forget_thoughts(&mut parts);
        Ok(parts)
    }

    /// Thoughts are kept for nobody but a model that wants to see them again.
    fn forget_thoughts(self, parts: &mut [Part]) {
        if matches!(self, Self::OpenaiChat(dialect) if dialect.wants_thoughts) {
            return;
        }
        for part in parts {
            if matches!(part, Part::Thought(_)) {
                *part = Part::Progress;
            }
        }
    }

    /// The request for vectors.
    pub(crate) fn embeddings_call(
        self,
        base: &Url,
        endpoint: &Endpoint,
        request: &EmbeddingRequest<'_>,
    ) -> Result<Call, AiError> {
        match self {
            Self::OpenaiChat(dialect) => {
                openai_chat::embeddings_call(dialect, base, endpoint, request)
            }
            Self::Anthropic(_) => Err(AiError::unsupported(endpoint.provider, "embeddings")),
            Self::Gemini => gemini::embeddings_call(base, endpoint, request),
        }
    }

    /// Reads vectors, in the order of the inputs, of which there were `expected`.
    pub(crate) fn embeddings(self, body: &[u8], expected: usize) -> Result<Vectors, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_embeddings(body, expected),
            Self::Anthropic(_) => Err(AiError::protocol("vectors were not asked for")),
            Self::Gemini => gemini::decode_embeddings(body, expected),
        }
    }

    /// The request for a page of the models; the first, or the one that the page before named.
    pub(crate) fn models_call(
        self,
        base: &Url,
        endpoint: &Endpoint,
        page: Option<&str>,
    ) -> Result<Call, AiError> {
        match self {
            Self::OpenaiChat(dialect) => openai_chat::models_call(dialect, base, endpoint),
            Self::Anthropic(_) => anthropic::models_call(base, endpoint, page),
            Self::Gemini => gemini::models_call(base, endpoint, page),
        }
    }

    /// Reads a page of models.
    pub(crate) fn models(self, body: &[u8]) -> Result<ModelPage, AiError> {
        match self {
            Self::OpenaiChat(_) => openai_chat::decode_models(body),
            Self::Anthropic(_) => anthropic::decode_models(body),
            Self::Gemini => gemini::decode_models(body),
        }
    }

    /// What a failing reply means. Providers' words for it do not contradict each other, so one
    /// list serves all.
    pub(crate) fn explain(refusal: &Refusal<'_>, endpoint: &Endpoint) -> AiError {
        failures::explain(refusal, endpoint.api_key.as_ref())
    }

    /// Another way to ask, when `error` says that the server does not know a field of the request.
    pub(crate) fn amended(self, error: &AiError) -> Option<Self> {
        match self {
            Self::OpenaiChat(dialect) => dialect.amended(error).map(Self::OpenaiChat),
            Self::Anthropic(dialect) => dialect.amended(error).map(Self::Anthropic),
            Self::Gemini => None,
        }
    }

    /// Another base to try, when the API is not at `base`: people paste addresses without the path
    /// that comes before every call.
    pub(crate) fn other_base(self, base: &Url) -> Option<Url> {
        if !base.path().trim_matches('/').is_empty() {
            return None;
        }
        let mut other = base.clone();
        match self {
            Self::OpenaiChat(dialect) if dialect.is_azure() => return None,
            Self::OpenaiChat(_) | Self::Anthropic(_) => other.set_path("/v1"),
            Self::Gemini => other.set_path("/v1beta"),
        }
        Some(other)
    }
}

#[cfg(test)]
mod tests {
    use stoa_domain::Provider;

    use super::*;
    use crate::error::AiErrorCode;
    use crate::provider::profile;

    const EACH: [Provider; 3] = [Provider::Openai, Provider::Anthropic, Provider::Gemini];

    fn decoded(provider: Provider, kind: Option<&str>, data: &str) -> Result<Vec<Part>, AiError> {
        let event = SseEvent {
            kind: kind.map(str::to_owned),
            data: data.to_owned(),
        };
        let mut parts = Vec::new();
        let wire = profile(provider).unwrap().wire;
        wire.decode(&event, &mut parts).map(|()| parts)
    }

    #[test]
    fn what_servers_and_gateways_add_is_the_same_in_every_format() {
        for provider in EACH {
            for blank in ["", " ", "\n"] {
                assert_eq!(decoded(provider, None, blank).unwrap(), [], "{provider}");
            }
            assert_eq!(decoded(provider, None, "[DONE] ").unwrap(), [Part::End]);
            for said in [
                r#"{"error":{"message":"slow","type":"rate_limit_error"}}"#,
                r#"{"message":"slow","type":"rate_limit_error"}"#,
            ] {
                let error = decoded(provider, Some("error"), said).unwrap_err();
                let code = AiErrorCode::RateLimited { retry_after: None };
                assert_eq!(error.code(), code, "{provider}");
            }
        }
    }

    #[test]
    fn half_a_character_does_not_lose_the_answer() {
        let text = |said: &str| vec![Part::Text(said.to_owned())];
        let said = r#"{"choices":[{"delta":{"content":"a\ud83e"}}]}"#;
        let openai = decoded(Provider::Openai, None, said).unwrap();
        assert_eq!(openai, text("a\u{fffd}"));
        let said = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\udd80b"}}"#;
        let anthropic = decoded(Provider::Anthropic, None, said).unwrap();
        assert_eq!(anthropic, text("\u{fffd}b"));
        assert!(decoded(Provider::Openai, None, r#"{"choices":"\ud83e"}"#).is_err());
    }
}
