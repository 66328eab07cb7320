//! Forms, taken only from pages of ours in the browser that was given them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use stoa_app::App;
use url::{Url, form_urlencoded};

use super::browser::Browser;
use super::error::PageError;
use crate::http::body;
use crate::http::problem::Problem;

const TOKEN: &str = "form_token";

/// The fields of a form without its token, which was checked.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Form<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        let public_url = &app.settings().public_url;
        if !is_same_origin(&parts.headers, public_url) {
            return Err(PageError::Form);
        }
        let browser = Browser::new(&parts, public_url);
        let bytes = Bytes::from_request(Request::from_parts(parts, body), app)
            .await
            .map_err(|rejection| body::unread(&rejection))?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
        let token = fields.iter().find(|(name, _)| name == TOKEN);
        if !token.is_some_and(|(_, token)| browser.gave(token)) {
            return Err(PageError::Form);
        }
        let rest = fields.into_iter().filter(|(name, _)| name != TOKEN);
        T::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(rest))
            .map(Self)
            .map_err(|_| invalid_form())
    }
}

fn invalid_form() -> PageError {
    let sentence = "The form lacks a field, or has one that it should not have.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_form", sentence).into()
}

/// A form's fields as they came, each once, for forms whose fields are not all known beforehand.
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field's text, which is not there for a second time; empty where it was not sent.
    pub(super) fn take(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }

    /// Whether a box was ticked.
    pub(super) fn ticked(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// What is left of fields that begin like this, by the rest of their names.
    pub(super) fn beginning(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let (found, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(name, _)| name.starts_with(prefix));
        self.0 = rest;
        let short = |(name, value): (String, String)| (name[prefix.len()..].to_owned(), value);
        found.into_iter().map(short).collect()
    }

    /// Refuses a form with fields that nobody asked for.
    pub(super) fn end(self) -> Result<(), PageError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(invalid_form())
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Vec::<(String, String)>::deserialize(deserializer)?;
        let count = fields.len();
        let fields = BTreeMap::from_iter(fields);
        if fields.len() == count {
            Ok(Self(fields))
        } else {
            Err(D::Error::custom("a field came twice"))
        }
    }
}

/// Whether a browser says that the request comes from a page of ours. `Sec-Fetch-Site` is the
/// browser's own word; where it is missing, the origin must be this host or the public address.
fn is_same_origin(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    if origin == public_url.origin().ascii_serialization() {
        return true;
    }
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == text(header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        is_same_origin(&headers, &Url::parse("https://stoa.example").unwrap())
    }

    #[test]
    fn only_pages_of_ours_may_send() {
        assert!(judged(&[("sec-fetch-site", "same-origin")]));
        assert!(judged(&[("origin", "https://stoa.example")]));
        assert!(judged(&[
            ("origin", "http://127.0.0.1:8080"),
            ("host", "127.0.0.1:8080")
        ]));
        assert!(!judged(&[]), "whoever says nothing is not believed");
        assert!(!judged(&[
            ("sec-fetch-site", "same-site"),
            ("origin", "https://stoa.example")
        ]));
        assert!(!judged(&[("sec-fetch-site", "none")]));
        assert!(!judged(&[("origin", "null"), ("host", "stoa.example")]));
        assert!(!judged(&[
            ("origin", "https://evil.example"),
            ("host", "stoa.example")
        ]));
        assert!(!judged(&[("origin", "https://stoa.example.evil.example")]));
    }
}
