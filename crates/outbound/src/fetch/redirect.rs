//! Where a redirect leads, and what goes along.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use url::Url;

use super::{FetchError, FetchRequest};

/// What may be said to an origin that the caller did not choose. Everything else might be a
/// secret: nobody knows in which header a service takes its key.
const HARMLESS: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::USER_AGENT];

/// The request that an answer redirects `request` to; `None` where it is no redirect.
pub(crate) fn next(
    request: &FetchRequest,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<FetchRequest>, FetchError> {
    let becomes_get = match status {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return Ok(None),
    };
    let Some(location) = headers.get(header::LOCATION) else {
        return Ok(None);
    };
    let url = target(&request.url, location.as_bytes())?;
    let mut next = FetchRequest {
        url,
        ..request.clone()
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = Bytes::new();
        next.headers.remove(header::CONTENT_TYPE);
        next.headers.remove(header::CONTENT_ENCODING);
    }
    if next.url.origin() != request.url.origin() {
        if !next.body.is_empty() {
            return Err(refused("it would take the body to another origin"));
        }
        next.headers = HARMLESS
            .into_iter()
            .filter_map(|name| Some((name.clone(), request.headers.get(&name)?.clone())))
            .collect();
    }
    Ok(Some(next))
}

fn target(from: &Url, location: &[u8]) -> Result<Url, FetchError> {
    let location = std::str::from_utf8(location).ok();
    let mut url = location
        .and_then(|it| from.join(it).ok())
        .ok_or_else(|| refused("its target is not an address"))?;
    url.set_fragment(None);
    if from.scheme() == "https" && url.scheme() != "https" {
        return Err(refused("it leads from https to something else"));
    }
    Ok(url)
}

fn refused(reason: &'static str) -> FetchError {
    FetchError::RedirectRefused { reason }
}
