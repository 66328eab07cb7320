//! Who calls and what with, refused in OpenAI's shape.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use stoa_app::App;
use stoa_app::access::ClientCaller;

use super::error::OpenAiError;
use crate::http::caller::Client;

/// Whoever holds an instance's client API key.
pub(crate) struct Key(pub(crate) ClientCaller);

impl FromRequestParts<Arc<App>> for Key {
    type Rejection = OpenAiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, OpenAiError> {
        let Client(caller) = Client::from_request_parts(parts, app).await?;
        Ok(Self(caller))
    }
}

/// A JSON body of which unknown fields are passed over.
pub(crate) struct Tolerant<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Tolerant<T> {
    type Rejection = OpenAiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OpenAiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        parse(&bytes).map(Self)
    }
}

fn unread(rejection: &BytesRejection) -> OpenAiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return OpenAiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request_too_large",
            "The body is larger than this call takes.",
        );
    }
    OpenAiError::invalid(None, "The body did not arrive whole.")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, OpenAiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    parsed.map_err(|error| {
        let path = Some(error.path().to_string()).filter(|path| path != ".");
        let param = match missing_field(error.inner()) {
            Some(name) => Some(path.map_or(name.clone(), |path| format!("{path}.{name}"))),
            None => path.filter(|_| error.inner().is_data()),
        };
        let message = format!("The body is not right: {}.", error.inner());
        OpenAiError::invalid(param.as_deref(), message)
    })
}

/// The field that is not there, which is in no path.
fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let name = text.strip_prefix("missing field `")?.split('`').next()?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::openai_api::request::NewCompletion;

    #[test]
    fn a_field_that_is_wrong_or_missing_is_named() {
        let param = |body: &str| {
            let error = parse::<NewCompletion>(body.as_bytes()).err().unwrap();
            let document = serde_json::to_value(error.document()).unwrap();
            document["error"]["param"].clone()
        };
        for (body, name) in [
            (r#"{"messages":[]}"#, "model"),
            (r#"{"model":"m"}"#, "messages"),
            (r#"{"model":"m","messages":[{}]}"#, "messages[0].role"),
            (r#"{"model":7,"messages":[]}"#, "model"),
            (r#"{"model":"m","messages":[],"stream":"yes"}"#, "stream"),
        ] {
            assert_eq!(param(body), name, "{body}");
        }
        for body in ["", "{", "[]x"] {
            assert_eq!(param(body), Value::Null, "{body}");
        }
    }
}
