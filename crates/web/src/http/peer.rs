//! Where a request comes from: the connection's other end, or whoever a trusted proxy names.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use stoa_app::App;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address that a request comes from, as an extractor.
pub(crate) struct Peer(pub(crate) Option<IpAddr>);

impl FromRequestParts<Arc<App>> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self(address(parts, app)))
    }
}

/// The address that a request comes from; `None` where the server was not told.
pub(crate) fn address(parts: &Parts, app: &App) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let trusted = |address: IpAddr| {
        let proxies = &app.settings().trusted_proxies;
        proxies.iter().any(|network| network.contains(&address))
    };
    Some(client(peer.ip().to_canonical(), &parts.headers, trusted))
}

/// Goes back along the chain of proxies as long as each is trusted; what the first untrusted one
/// says about others is hearsay.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let named: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut address = peer;
    for name in named.iter().rev() {
        if !trusted(address) {
            break;
        }
        match name.trim().parse::<IpAddr>() {
            Ok(next) => address = next.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxy = |address: IpAddr| address.to_string().starts_with("10.");
        client(peer.parse().unwrap(), &headers, proxy).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(
            seen("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"]),
            "198.51.100.1",
            "what the client wrote itself stands before and is not believed"
        );
        assert_eq!(
            seen("10.0.0.1", &["6.6.6.6", "198.51.100.1"]),
            "198.51.100.1"
        );
        assert_eq!(seen("10.0.0.1", &["unknown"]), "10.0.0.1");
    }
}
