//! Requests for answers and for the list of models.

use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use stoa_domain::MessageRole;
use url::Url;

use super::{Dialect, OutputLimit};
use crate::error::{AiError, AiErrorCode};
use crate::provider::join;
use crate::request::{ChatRequest, Endpoint};
use crate::wire::Call;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The request for an answer.
pub(crate) fn chat_call(
    dialect: Dialect,
    base: &Url,
    endpoint: &Endpoint,
    request: &ChatRequest,
    streaming: bool,
) -> Result<Call, AiError> {
    let system = (!request.system.is_empty()).then_some(Message {
        role: "system",
        content: &request.system,
    });
    let turns = request.messages.iter().map(|turn| Message {
        role: match turn.role {
            MessageRole::User => "user",
            MessageRole::Assistant | MessageRole::Agent => "assistant",
        },
        content: &turn.content,
    });
    let limit = |field| {
        request
            .max_output_tokens
            .filter(|_| dialect.output_limit == field)
    };
    let body = Body {
        model: &request.model,
        messages: system.into_iter().chain(turns).collect(),
        temperature: request.temperature,
        max_tokens: limit(OutputLimit::MaxTokens),
        max_completion_tokens: limit(OutputLimit::MaxCompletionTokens),
        stream: streaming,
        stream_options: (streaming && dialect.asks_for_usage).then_some(StreamOptions {
            include_usage: true,
        }),
    };
    Ok(Call {
        url: join(base, &["chat", "completions"]),
        headers: headers(
            endpoint,
            if streaming {
                "text/event-stream"
            } else {
                "application/json"
            },
        )?,
        body: Some(encode(&body)?),
    })
}

/// The request for the names of the models.
pub(crate) fn models_call(base: &Url, endpoint: &Endpoint) -> Result<Call, AiError> {
    Ok(Call {
        url: join(base, &["models"]),
        headers: headers(endpoint, "application/json")?,
        body: None,
    })
}

/// Reads the names of the models.
pub(crate) fn decode_models(body: &[u8]) -> Result<Vec<String>, AiError> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let list: List = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the list of models is not of OpenAI's shape"))?;
    Ok(list.data.into_iter().map(|it| it.id).collect())
}

pub(super) fn encode(body: &impl Serialize) -> Result<Vec<u8>, AiError> {
    serde_json::to_vec(body).map_err(|_| AiError::protocol("the request could not be encoded"))
}

/// What every request carries. The key is marked, so that no layer below prints it.
pub(super) fn headers(endpoint: &Endpoint, accept: &'static str) -> Result<HeaderMap, AiError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let key = endpoint.api_key.as_ref().map(ExposeSecret::expose_secret);
    if let Some(key) = key.filter(|it| !it.is_empty()) {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
            AiError::new(
                AiErrorCode::BadKey,
                "the key has characters that no key has",
            )
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}
