//! HTTP requests to judged addresses.

use std::{error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use http::Method;
use reqwest::{
    RequestBuilder,
    dns::{Addrs, Name, Resolve as HttpResolve, Resolving},
    redirect,
};
use url::{Host, Url};

use crate::{connect::Outbound, error::OutboundError, policy::AddressPolicy, resolve::Resolve};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What this door calls itself.
const USER_AGENT: &str = concat!("stoa/", env!("CARGO_PKG_VERSION"));

impl Outbound {
    /// Begins a request to `url`, which must be http or https, without credentials in it.
    ///
    /// Literal addresses are judged here, since the HTTP client asks no resolver about them; names
    /// are judged by our resolver when the connection is made. No proxy, no redirect, and 5 s to
    /// connect; deadlines and byte bounds on the answer are the caller's.
    ///
    /// # Errors
    ///
    /// `Forbidden` and `InvalidAddress` at once. A name that turns out to be forbidden fails in
    /// `send`: see [`Outbound::explain`].
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, OutboundError> {
        self.judge_url(&url)?;
        Ok(self.http_client()?.request(method, url))
    }

    /// What a failed `send` means in the words of this crate, when it was the door that refused.
    #[must_use]
    pub fn explain(&self, error: &reqwest::Error) -> Option<OutboundError> {
        let host = error
            .url()
            .and_then(Url::host_str)
            .unwrap_or("the host")
            .to_owned();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(current) = cause {
            match current.downcast_ref::<DoorClosed>() {
                Some(DoorClosed::Forbidden) => return Some(OutboundError::Forbidden { host }),
                Some(DoorClosed::Unresolved) => return Some(OutboundError::Unresolved { host }),
                None => cause = current.source(),
            }
        }
        if error.is_timeout() {
            return Some(OutboundError::Timeout { host });
        }
        error.is_connect().then(|| OutboundError::Unreachable {
            host,
            source: io::Error::other("the connection could not be opened"),
        })
    }

    fn judge_url(&self, url: &Url) -> Result<(), OutboundError> {
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
        let port = url.port_or_known_default().unwrap_or(443);
        let policy = self.policy();
        let allowed = match url.host() {
            None => {
                return Err(OutboundError::InvalidAddress {
                    reason: "it has no host",
                });
            }
            Some(Host::Ipv4(address)) => policy.permits(&address.to_string(), address.into(), port),
            Some(Host::Ipv6(address)) => policy.permits(&address.to_string(), address.into(), port),
            Some(Host::Domain(name)) => !policy.names_only_other_ports(name, port),
        };
        if allowed {
            return Ok(());
        }
        Err(OutboundError::Forbidden {
            host: url.host_str().unwrap_or_default().to_owned(),
        })
    }

    fn http_client(&self) -> Result<&reqwest::Client, OutboundError> {
        if let Some(client) = self.inner.http.get() {
            return Ok(client);
        }
        let guard = GuardedNames {
            policy: self.policy().clone(),
            resolver: Arc::clone(&self.inner.resolver),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that builds a client"
        )]
        let built = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(guard))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|source| OutboundError::Setup {
                source: source.into(),
            })?;
        Ok(self.inner.http.get_or_init(|| built))
    }
}

/// The resolver that the HTTP client asks: it answers only with addresses that were judged.
struct GuardedNames {
    policy: AddressPolicy,
    resolver: Arc<dyn Resolve>,
}

/// Carried through the HTTP client's errors, so that the reason is not lost.
#[derive(Debug, thiserror::Error)]
enum DoorClosed {
    #[error("an address of the name is not permitted")]
    Forbidden,
    #[error("the name does not resolve")]
    Unresolved,
}

impl HttpResolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy.clone();
        let resolver = Arc::clone(&self.resolver);
        Box::pin(async move {
            let host = name.as_str();
            let addresses = resolver
                .resolve(host)
                .await
                .map_err(|_| Box::new(DoorClosed::Unresolved))?;
            if addresses.is_empty() {
                return Err(DoorClosed::Unresolved.into());
            }
            if addresses
                .iter()
                .any(|it| !policy.permits_on_some_port(host, *it))
            {
                return Err(DoorClosed::Forbidden.into());
            }
            // Port 0 stands for the port of the request.
            let judged = addresses.into_iter().map(|it| SocketAddr::new(it, 0));
            Ok(Box::new(judged) as Addrs)
        })
    }
}
