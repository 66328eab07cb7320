//! TCP connections to judged addresses.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};

use crate::{
    error::OutboundError,
    http::HttpClients,
    policy::{AddressPolicy, literal},
    resolve::{Resolve, SystemResolver},
};

/// How many of a name's addresses are judged and tried at most.
pub(crate) const MOST_ADDRESSES: usize = 16;

/// The door. Cheap to clone; all clones share one policy, one resolver and their HTTP connections,
/// which nobody else uses: a connection that one policy permitted never serves another.
#[derive(Clone)]
pub struct Outbound {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) policy: AddressPolicy,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) http: HttpClients,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// A door with this policy and the system's resolver.
    #[must_use]
    pub fn new(policy: AddressPolicy) -> Self {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// A door with a resolver of the caller's.
    #[must_use]
    pub fn with_resolver(policy: AddressPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            inner: Arc::new(Inner {
                policy,
                resolver,
                http: HttpClients::default(),
            }),
        }
    }

    /// A door with a resolver of the caller's, which for HTTP trusts the certificate authorities in
    /// `pem` beside those of the machine: an operator's own services may have an authority of its
    /// own.
    ///
    /// # Errors
    ///
    /// `Setup` when `pem` holds no certificate.
    pub fn trusting(
        policy: AddressPolicy,
        resolver: Arc<dyn Resolve>,
        pem: &[u8],
    ) -> Result<Self, OutboundError> {
        Ok(Self {
            inner: Arc::new(Inner {
                policy,
                resolver,
                http: HttpClients::trusting(pem)?,
            }),
        })
    }

    /// The operator's list.
    #[must_use]
    pub fn policy(&self) -> &AddressPolicy {
        &self.inner.policy
    }

    /// The addresses of `host`, all of which may be connected to on `port`.
    ///
    /// # Errors
    ///
    /// `Unresolved` when there is none, `Forbidden` when any one of them is not permitted: a name
    /// that mixes public and private addresses is not to be trusted with either.
    pub async fn judged(&self, host: &str, port: u16) -> Result<Vec<IpAddr>, OutboundError> {
        let addresses =
            match literal(host) {
                Some(address) => vec![address],
                None => self.inner.resolver.resolve(host).await.map_err(|_| {
                    OutboundError::Unresolved {
                        host: host.to_owned(),
                    }
                })?,
            };
        if addresses.is_empty() {
            return Err(OutboundError::Unresolved {
                host: host.to_owned(),
            });
        }
        if addresses
            .iter()
            .any(|it| !self.inner.policy.permits(host, *it, port))
        {
            return Err(OutboundError::Forbidden {
                host: host.to_owned(),
            });
        }
        Ok(addresses)
    }

    /// Resolves `host`, judges every address, and connects to one that was judged, within
    /// `deadline` in all.
    ///
    /// # Errors
    ///
    /// See [`OutboundError`].
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
        deadline: Duration,
    ) -> Result<TcpStream, OutboundError> {
        let until = Instant::now() + deadline;
        let addresses = timeout_at(until, self.judged(host, port))
            .await
            .map_err(|_| OutboundError::Timeout {
                host: host.to_owned(),
            })??;
        connect_to(host, addresses, port, until).await
    }

    /// Connects to a host that the operator configured, without judging its addresses.
    ///
    /// Only for what never came from a client: the cluster of managed databases.
    ///
    /// # Errors
    ///
    /// See [`OutboundError`].
    pub async fn connect_to_operators_host(
        &self,
        host: &str,
        port: u16,
        deadline: Duration,
    ) -> Result<TcpStream, OutboundError> {
        let until = Instant::now() + deadline;
        let addresses = match literal(host) {
            Some(address) => vec![address],
            None => timeout_at(until, self.inner.resolver.resolve(host))
                .await
                .map_err(|_| OutboundError::Timeout {
                    host: host.to_owned(),
                })?
                .map_err(|_| OutboundError::Unresolved {
                    host: host.to_owned(),
                })?,
        };
        connect_to(host, addresses, port, until).await
    }
}

/// Tries the addresses in turn; the time left is shared so that the first cannot use it all up.
async fn connect_to(
    host: &str,
    addresses: Vec<IpAddr>,
    port: u16,
    until: Instant,
) -> Result<TcpStream, OutboundError> {
    let mut last = OutboundError::Unresolved {
        host: host.to_owned(),
    };
    let count = addresses.len().min(MOST_ADDRESSES);
    for (index, address) in addresses.into_iter().take(MOST_ADDRESSES).enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(count - index).unwrap_or(1);
        match timeout_at(Instant::now() + share, open(SocketAddr::new(address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = OutboundError::from_io(host, error),
            Err(_) => {
                last = OutboundError::Timeout {
                    host: host.to_owned(),
                }
            }
        }
    }
    Err(last)
}

async fn open(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that connects, to an address that was judged"
    )]
    socket.connect(address).await
}
