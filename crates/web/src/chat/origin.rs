//! Which sites may call the chat API from a browser: the platform's own addresses, and those that
//! the instance allows.
//!
//! The check of `Origin` is what refuses: it comes before anything is done. The CORS headers only
//! let an allowed site read the answer; they are never sent with credentials, since the API knows
//! no cookies. Programs send no `Origin` and are judged by their token alone.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stoa_app::App;
use stoa_app::live_configuration;
use stoa_domain::InstanceId;

use crate::http::problem::Problem;

/// Where the chat API is.
const PREFIX: &str = "/api/chat/v1/";
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, accept, last-event-id, if-none-match");
const SHOWN: HeaderValue = HeaderValue::from_static("x-request-id, retry-after, etag");
/// How long a browser may remember the answer to its preflight, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

/// Refuses a request from a site that may not use this instance's chat.
pub(crate) async fn check(
    app: &App,
    headers: &HeaderMap,
    instance: InstanceId,
) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("null");
    if live_configuration::allows_origin(app, instance, origin).await? {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        "This site may not use this chat. Add its origin to the instance's allowed origins.",
    ))
}

/// Answers preflights, and lets browsers read what the chat API answers.
pub(crate) async fn share(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(PREFIX) {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let Some(origin) = origin.filter(|origin| !is_own(&app, origin)) else {
        return next.run(request).await;
    };
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        preflight()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

fn is_own(app: &App, origin: &HeaderValue) -> bool {
    origin
        .to_str()
        .is_ok_and(|origin| live_configuration::is_own_origin(app, origin))
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}
