//! Figures for the operator's monitoring, on a port of their own that visitors never see.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use stoa_app::App;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::connections::{ConnectionLimits, Connections};
use crate::command_line::failure::Failure;
use crate::configuration::MetricsAddress;

/// Where they are unless the operator says otherwise: Prometheus's port for OpenTelemetry programs.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Enough for a few collectors.
const OPEN: usize = 16;

/// Listens where the operator wants it. The usual port may belong to another Stoa on the same
/// machine, and then this one goes without; an address that was asked for must be had.
pub(super) async fn bind(wanted: MetricsAddress) -> Result<Option<TcpListener>, Failure> {
    let (address, is_asked_for) = match wanted {
        MetricsAddress::Off => return Ok(None),
        MetricsAddress::Usual => (USUAL, false),
        MetricsAddress::At(address) => (address, true),
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if is_asked_for => Err(Failure::new(
            "metrics_port",
            format!("cannot listen on {address} for metrics: {error}"),
        )
        .hint("set STOA_METRICS_ADDR to a free address of this machine, or to `off`")),
        Err(error) => {
            tracing::warn!(%address, %error, "metrics are not served: set STOA_METRICS_ADDR to a free address, or to `off`");
            Ok(None)
        }
    }
}

/// Serves `GET /metrics` until drained. `visitors` are the connections that are counted.
pub(super) fn serve(listener: TcpListener, app: &Arc<App>, visitors: TaskTracker) -> Connections {
    let app = Arc::clone(app);
    let metrics = get(move || {
        let (app, visitors) = (Arc::clone(&app), visitors.clone());
        async move {
            // One of the tasks is the one that accepts.
            let open = visitors.len().saturating_sub(1);
            let text = stoa_app::metrics::render(&app, open).await;
            ([(header::CONTENT_TYPE, TEXT)], text)
        }
    });
    let router = Router::new().route("/metrics", metrics);
    let limits = ConnectionLimits {
        open: OPEN,
        ..ConnectionLimits::default()
    };
    Connections::accept(listener, router, limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_asked_for_must_be_had() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let refused = bind(MetricsAddress::At(address)).await.unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("metrics_port") && said.contains("STOA_METRICS_ADDR"),
            "{said}"
        );
        assert!(bind(MetricsAddress::Off).await.unwrap().is_none());
        // Whoever has the usual port, a server starts.
        let _held = TcpListener::bind(USUAL).await;
        assert!(bind(MetricsAddress::Usual).await.unwrap().is_none());
    }
}
