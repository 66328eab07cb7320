//! Fetching: a request whose answer is bounded in time and bytes, and whose redirects are judged.

mod error;
mod fetched;
mod redirect;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use error::FetchError;
pub use fetched::Fetched;
#[cfg(test)]
pub(crate) use redirect::next as next_request;

use crate::{connect::Outbound, error::OutboundError};

/// How much time and how many bytes an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// From the first hop's name to the last byte of the body.
    pub total: Duration,
    /// From a hop's name to the end of its headers.
    pub headers: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// The most bytes of headers.
    pub header_bytes: usize,
    /// The most bytes of the body, counted as the caller sees them: a body that came compressed
    /// counts as what it was before.
    pub body_bytes: usize,
    /// How many redirects are followed. With none, a redirect is an answer like any other.
    pub redirects: usize,
}

/// A request that is to be fetched.
#[derive(Clone)]
pub struct FetchRequest {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Default for Bounds {
    /// 30 s in all, 10 s for headers and between pieces, 32 KiB of headers, 1 MiB of body, no
    /// redirects.
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            header_bytes: 32 * 1024,
            body_bytes: 1024 * 1024,
            redirects: 0,
        }
    }
}

impl FetchRequest {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// With this header, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> (&Url, &HeaderMap, &Bytes) {
        (&self.url, &self.headers, &self.body)
    }
}

/// Headers, query and path can hold secrets, so they are not shown.
impl std::fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchRequest")
            .field("method", &self.method)
            .field("origin", &self.url.origin().ascii_serialization())
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Sends `request` and returns the answer once its headers have come; the body is read by
    /// [`Fetched::chunk`] or [`Fetched::whole`], under the same bounds.
    ///
    /// Up to `bounds.redirects` redirects are followed. Each leads through the whole door again:
    /// its scheme, host, port and addresses are judged like the first. None leads from https to
    /// http. To another origin only harmless headers go along, and no body.
    ///
    /// # Errors
    ///
    /// See [`FetchError`]. An answer with an error's status is no error.
    pub async fn fetch(
        &self,
        request: FetchRequest,
        bounds: Bounds,
    ) -> Result<Fetched, FetchError> {
        let until = Instant::now() + bounds.total;
        let mut request = request;
        let mut followed = 0;
        loop {
            let response = self.send(&request, &bounds, until).await?;
            let fetched = Fetched::begin(request.url.clone(), response, bounds, until)?;
            if bounds.redirects == 0 {
                return Ok(fetched);
            }
            let Some(next) = redirect::next(&request, fetched.status(), fetched.headers())? else {
                return Ok(fetched);
            };
            if followed == bounds.redirects {
                return Err(FetchError::TooManyRedirects {
                    most: bounds.redirects,
                });
            }
            followed += 1;
            request = next;
        }
    }

    async fn send(
        &self,
        request: &FetchRequest,
        bounds: &Bounds,
        until: Instant,
    ) -> Result<reqwest::Response, FetchError> {
        let host = || request.url.host_str().unwrap_or_default().to_owned();
        let sending = self
            .request(request.method.clone(), request.url.clone())?
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        match timeout_at(until.min(Instant::now() + bounds.headers), sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(match self.explain(&error) {
                Some(refused) => refused.into(),
                None => FetchError::broken(error),
            }),
            Err(_) => Err(OutboundError::Timeout { host: host() }.into()),
        }
    }
}
