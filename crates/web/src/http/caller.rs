//! Who calls: extractors that turn a credential into the proof that use cases take.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use stoa_app::App;
use stoa_app::access::{self, ClientCaller, PlatformCaller, Visitor};

use super::peer;
use super::problem::Problem;
use crate::chat::origin;

/// Whoever holds a platform API token.
pub(crate) struct Platform(pub(crate) PlatformCaller);

/// Whoever holds an instance's client API key.
pub(crate) struct Client(pub(crate) ClientCaller);

/// Whoever holds a chat session's token. The token is checked by the query that uses it.
pub(crate) struct Chat(pub(crate) Visitor);

impl FromRequestParts<Arc<App>> for Platform {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(parts, "a platform API token, made by `stoa token create`")?;
        let caller = access::platform_token(app, token).await?;
        let caller = caller.ok_or_else(|| refused("platform API token"))?;
        Ok(Self(caller.seen_from(peer::address(parts, app))))
    }
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(parts, "a client API key")?;
        let caller = access::client_key(app, token).await?;
        let caller = caller.ok_or_else(|| refused("client API key"))?;
        Ok(Self(caller.seen_from(peer::address(parts, app))))
    }
}

impl FromRequestParts<Arc<App>> for Chat {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let token = bearer(parts, "the session's token")?;
        let visitor = access::session_token(token).ok_or_else(|| refused("session token"))?;
        origin::check(app, &parts.headers, visitor.instance()).await?;
        Ok(Self(visitor.seen_from(peer::address(parts, app))))
    }
}

fn bearer<'a>(parts: &'a Parts, what: &str) -> Result<&'a str, Problem> {
    let value = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| {
        Problem::unauthorized(format!(
            "Send the header “Authorization: Bearer …” with {what}."
        ))
    })?;
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Problem::unauthorized(
            "The header “Authorization” must be “Bearer …”.",
        )),
    }
}

fn refused(what: &str) -> Problem {
    Problem::unauthorized(format!(
        "This {what} is not valid: it is unknown, revoked or of another kind."
    ))
}
