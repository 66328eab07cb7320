//! What every request carries.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::error::{AiError, AiErrorCode};
use crate::request::Endpoint;

/// Where a format wants the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyHeader {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own, with nothing but the key.
    Named(&'static str),
}

/// What is to come back.
pub(super) const fn accepted(streaming: bool) -> &'static str {
    match streaming {
        true => "text/event-stream",
        false => "application/json",
    }
}

/// The headers of a request. The key is marked, so that no layer below prints it.
pub(super) fn headers(
    endpoint: &Endpoint,
    key_header: KeyHeader,
    accept: &'static str,
) -> Result<HeaderMap, AiError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let key = endpoint.api_key.as_ref().map(ExposeSecret::expose_secret);
    if let Some(key) = key.filter(|it| !it.is_empty()) {
        let (name, value) = match key_header {
            KeyHeader::Bearer => (
                header::AUTHORIZATION,
                HeaderValue::from_str(&format!("Bearer {key}")),
            ),
            KeyHeader::Named(name) => (HeaderName::from_static(name), HeaderValue::from_str(key)),
        };
        let mut value = value.map_err(|_| {
            AiError::new(
                AiErrorCode::BadKey,
                "the key has characters that no key has",
            )
        })?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

pub(super) fn encode(body: &impl Serialize) -> Result<Vec<u8>, AiError> {
    serde_json::to_vec(body).map_err(|_| AiError::protocol("the request could not be encoded"))
}
