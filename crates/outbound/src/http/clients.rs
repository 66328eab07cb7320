//! The HTTP clients of one door: one for each port, so that a name is judged for its port.
//!
//! The client library tells a resolver the name it wants and not the port. A client for each port
//! knows it, and costs nothing in reuse, since connections are pooled by scheme, host and port.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve as HttpResolve, Resolving},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    connect::MOST_ADDRESSES, error::OutboundError, policy::AddressPolicy, resolve::Resolve,
};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next request.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The most bytes of an answer's headers over HTTP/2. HTTP/1 is bounded by the client library at
/// 100 headers and some 400 KiB.
const MOST_HEADER_BYTES: u32 = 64 * 1024;
/// How many ports have a client at a time, beside 80 and 443.
const MOST_PORTS: usize = 16;

/// What this door calls itself.
const USER_AGENT: &str = concat!("stoa/", env!("CARGO_PKG_VERSION"));

/// The clients of one door.
#[derive(Default)]
pub(crate) struct HttpClients {
    /// Certificate authorities beside those of the machine.
    authorities: Vec<CertificateDer<'static>>,
    tls: OnceLock<ClientConfig>,
    by_port: Mutex<HashMap<u16, Client>>,
}

impl HttpClients {
    /// Clients that trust these certificate authorities as well.
    pub(crate) fn trusting(pem: &[u8]) -> Result<Self, OutboundError> {
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let authorities = authorities.map_err(|source| OutboundError::Setup {
            source: source.into(),
        })?;
        if authorities.is_empty() {
            return Err(OutboundError::Setup {
                source: "there is no certificate in it".into(),
            });
        }
        Ok(Self {
            authorities,
            ..Self::default()
        })
    }

    /// The client for `port`.
    pub(crate) fn on_port(
        &self,
        port: u16,
        policy: &AddressPolicy,
        resolver: &Arc<dyn Resolve>,
    ) -> Result<Client, OutboundError> {
        let mut by_port = self.by_port.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = by_port.get(&port) {
            return Ok(client.clone());
        }
        let client = self.build(GuardedNames {
            port,
            policy: policy.clone(),
            resolver: Arc::clone(resolver),
        })?;
        // Clients choose the ports, so what is kept for them is bounded. One in use lives on.
        if by_port.len() >= MOST_PORTS + 2 {
            let unusual = by_port.keys().copied().find(|it| !matches!(it, 80 | 443));
            unusual.map(|it| by_port.remove(&it));
        }
        by_port.insert(port, client.clone());
        Ok(client)
    }

    fn build(&self, names: GuardedNames) -> Result<Client, OutboundError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that builds a client"
        )]
        Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(names))
            .tls_backend_preconfigured(self.tls()?.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(KEPT_FOR)
            .http2_max_header_list_size(MOST_HEADER_BYTES)
            .tcp_nodelay(true)
            .user_agent(USER_AGENT)
            .build()
            .map_err(|source| OutboundError::Setup {
                source: source.into(),
            })
    }

    /// TLS with the certificate verified by name. Without trusted authorities, as in a bare
    /// container, every https request fails on its certificate, and http goes on working.
    fn tls(&self) -> Result<&ClientConfig, OutboundError> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.authorities.iter().cloned());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| OutboundError::Setup {
                source: source.into(),
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(self.tls.get_or_init(|| tls))
    }
}

/// The resolver that the HTTP client asks: it answers only with addresses that were judged.
struct GuardedNames {
    port: u16,
    policy: AddressPolicy,
    resolver: Arc<dyn Resolve>,
}

/// Carried through the HTTP client's errors, so that the reason is not lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorClosed {
    #[error("an address of the name is not permitted")]
    Forbidden,
    #[error("the name does not resolve")]
    Unresolved,
}

impl HttpResolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (port, policy) = (self.port, self.policy.clone());
        let resolver = Arc::clone(&self.resolver);
        Box::pin(async move {
            let host = name.as_str();
            let addresses = resolver
                .resolve(host)
                .await
                .map_err(|_| DoorClosed::Unresolved)?;
            if addresses.is_empty() {
                return Err(DoorClosed::Unresolved.into());
            }
            if addresses.iter().any(|it| !policy.permits(host, *it, port)) {
                return Err(DoorClosed::Forbidden.into());
            }
            // Port 0 stands for the port of the request, which is the one that was judged.
            let judged = addresses.into_iter().take(MOST_ADDRESSES);
            Ok(Box::new(judged.map(|it| SocketAddr::new(it, 0))) as Addrs)
        })
    }
}
