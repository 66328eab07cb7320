//! What a page's response says to browsers besides its content.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use stoa_domain::Random;

use crate::http::problem::Problem;

/// A value that only this response's own scripts carry.
#[derive(Clone, Debug)]
pub(crate) struct Nonce(String);

impl Nonce {
    /// A new one, for one response.
    pub(crate) fn new(random: &Random) -> Self {
        use std::fmt::Write as _;
        let mut text = String::new();
        for byte in random.bytes::<16>() {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// For the template.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A console's page: scripts by nonce, in no frame at all.
pub(crate) fn console(
    status: StatusCode,
    nonce: &Nonce,
    page: &impl Template,
) -> Result<Response, Problem> {
    let policy = policy(Some(nonce), "'none'");
    respond(status, page, &policy, "same-origin")
}

/// A page without scripts, in no frame at all.
pub(crate) fn bare(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    respond(status, page, &policy(None, "'none'"), "same-origin")
}

/// The hosted chat, in the frames of these origins only.
pub(crate) fn chat(
    nonce: &Nonce,
    origins: &[&str],
    page: &impl Template,
) -> Result<Response, Problem> {
    let ancestors = if origins.is_empty() {
        "'none'".to_owned()
    } else {
        origins.join(" ")
    };
    let policy = policy(Some(nonce), &ancestors);
    respond(
        StatusCode::OK,
        page,
        &policy,
        "strict-origin-when-cross-origin",
    )
}

fn policy(nonce: Option<&Nonce>, ancestors: &str) -> String {
    let scripts = match nonce {
        Some(Nonce(nonce)) => format!("script-src 'nonce-{nonce}'; connect-src 'self'; "),
        None => String::new(),
    };
    format!(
        "default-src 'none'; {scripts}style-src 'self'; img-src 'self'; font-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    )
}

fn respond(
    status: StatusCode,
    page: &impl Template,
    policy: &str,
    referrer: &'static str,
) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    let policy = HeaderValue::from_str(policy).map_err(|error| Problem::internal(&error))?;
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
