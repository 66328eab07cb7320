//! An answer, whose body is read under the bounds that it was asked for with.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{Bounds, FetchError};

/// An answer whose headers have come.
pub struct Fetched {
    url: Url,
    response: Response,
    bounds: Bounds,
    until: Instant,
    /// How many bytes of the body may still come.
    left: usize,
}

impl Fetched {
    pub(super) fn begin(
        url: Url,
        response: Response,
        bounds: Bounds,
        until: Instant,
    ) -> Result<Self, FetchError> {
        let headers = response.headers();
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
            .sum();
        if size > bounds.header_bytes {
            return Err(FetchError::HeadersTooLarge {
                most: bounds.header_bytes,
            });
        }
        Ok(Self {
            url,
            response,
            bounds,
            until,
            left: bounds.body_bytes,
        })
    }

    /// Where it came from: the last hop.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The media type without its parameters, lowercase; empty when there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let value = self.headers().get(header::CONTENT_TYPE);
        let value = value.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// When a bound is broken or the connection is. Nothing is to be read after that.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        if self.announced_too_much() {
            return Err(self.too_large());
        }
        let idle_at = Instant::now() + self.bounds.idle;
        let piece = timeout_at(idle_at.min(self.until), self.response.chunk());
        match piece.await {
            Ok(Ok(Some(piece))) => match self.left.checked_sub(piece.len()) {
                Some(left) => {
                    self.left = left;
                    Ok(Some(piece))
                }
                None => {
                    self.left = 0;
                    Err(self.too_large())
                }
            },
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(FetchError::broken(error)),
            Err(_) if idle_at < self.until => Err(FetchError::Idle),
            Err(_) => Err(FetchError::TooSlow),
        }
    }

    /// The whole body.
    ///
    /// # Errors
    ///
    /// See [`Self::chunk`].
    pub async fn whole(mut self) -> Result<Bytes, FetchError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// Whether the length that was announced is over the bound, so that nothing need be read. Of a
    /// compressed body none is known.
    fn announced_too_much(&self) -> bool {
        let announced = self.response.content_length().unwrap_or_default();
        announced > self.bounds.body_bytes as u64
    }

    fn too_large(&self) -> FetchError {
        FetchError::BodyTooLarge {
            most: self.bounds.body_bytes,
        }
    }
}

/// Headers and URL can hold secrets, so they are not shown.
impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
