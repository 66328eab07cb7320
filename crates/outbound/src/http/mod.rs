//! HTTP requests to judged addresses.

mod clients;

use std::{error::Error, io};

use http::Method;
use reqwest::RequestBuilder;
use url::{Host, Url};

use clients::DoorClosed;
pub(crate) use clients::HttpClients;

use crate::{connect::Outbound, error::OutboundError};

impl Outbound {
    /// Begins a request to `url`, which must be http or https, without credentials in it.
    ///
    /// Literal addresses are judged here, since the HTTP client asks no resolver about them; names
    /// are judged by our resolver when the connection is made. No proxy, no redirect, and 5 s to
    /// connect; deadlines and byte bounds on the answer are the caller's. [`Outbound::fetch`] has
    /// them built in.
    ///
    /// # Errors
    ///
    /// `Forbidden` and `InvalidAddress` at once. A name that turns out to be forbidden fails in
    /// `send`: see [`Outbound::explain`].
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, OutboundError> {
        let port = self.judge_url(&url)?;
        Ok(self.http_client(port)?.request(method, url))
    }

    /// What a failed `send` means in the words of this crate, when it was the door that refused or
    /// the connection that failed.
    #[must_use]
    pub fn explain(&self, error: &reqwest::Error) -> Option<OutboundError> {
        let host = error
            .url()
            .and_then(Url::host_str)
            .unwrap_or("the host")
            .to_owned();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(closed) = current.downcast_ref::<DoorClosed>() {
                return Some(match closed {
                    DoorClosed::Forbidden => OutboundError::Forbidden { host },
                    DoorClosed::Unresolved => OutboundError::Unresolved { host },
                });
            }
            if let Some(error) = current.downcast_ref::<rustls::Error>() {
                let reason = error.to_string();
                return Some(OutboundError::Tls { host, reason });
            }
            // An io::Error hides what it wraps from `source` but shows it to `get_ref`.
            let wrapped = current
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            cause = match wrapped {
                Some(inner) => Some(inner),
                None => current.source(),
            };
        }
        if error.is_timeout() {
            return Some(OutboundError::Timeout { host });
        }
        error.is_connect().then(|| OutboundError::Unreachable {
            host,
            source: io::Error::other("the connection could not be opened"),
        })
    }

    /// The port of a URL that may be asked for, so far as can be said without resolving it.
    pub(crate) fn judge_url(&self, url: &Url) -> Result<u16, OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::InvalidAddress {
                reason: "only http and https are spoken",
            });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::InvalidAddress {
                reason: "it must not hold credentials",
            });
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(OutboundError::InvalidAddress {
                reason: "it has no host",
            });
        };
        let literal = match host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        };
        match literal {
            Some(address) if !self.policy().permits(&host.to_string(), address, port) => {
                Err(OutboundError::Forbidden {
                    host: host.to_string(),
                })
            }
            _ => Ok(port),
        }
    }

    /// Judges a URL so far as can be said without resolving its name, and gives its port: for who
    /// stores an address that is asked later.
    ///
    /// # Errors
    ///
    /// As for [`Self::request`].
    pub fn judge(&self, url: &Url) -> Result<u16, OutboundError> {
        self.judge_url(url)
    }

    fn http_client(&self, port: u16) -> Result<reqwest::Client, OutboundError> {
        let inner = &self.inner;
        inner.http.on_port(port, &inner.policy, &inner.resolver)
    }
}
