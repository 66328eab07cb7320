//! Connections: accepted up to a bound, served with deadlines, drained when the server stops.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// How long `accept` rests after the process ran out of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What one connection may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// For a request's headers, counted from the end of the request before: it reaps slow senders
    /// and idle connections alike.
    pub(crate) headers: Duration,
    /// How long a reader may take nothing of what is written to it.
    pub(crate) stalled_write: Duration,
    /// Open connections at most; more wait in the kernel's queue.
    pub(crate) open: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            stalled_write: Duration::from_secs(30),
            open: 10_000,
        }
    }
}

/// The server's connections and how to end them.
pub(crate) struct Connections {
    tasks: TaskTracker,
    stop: CancellationToken,
    abandon: CancellationToken,
}

impl Connections {
    /// Accepts and serves until [`Self::drain`].
    pub(crate) fn accept(listener: TcpListener, router: Router, limits: ConnectionLimits) -> Self {
        let connections = Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
        };
        let acceptor = Acceptor {
            tasks: connections.tasks.clone(),
            stop: connections.stop.clone(),
            abandon: connections.abandon.clone(),
            router,
            limits,
        };
        connections.tasks.spawn(acceptor.run(listener));
        connections
    }

    /// The task that accepts, and one for each open connection.
    pub(crate) fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    /// Closes the listener and idle connections, lets answers under way finish until the deadline
    /// and then cuts them. Says whether all had finished.
    pub(crate) async fn drain(self, deadline: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let finished = tokio::time::timeout(deadline, self.tasks.wait())
            .await
            .is_ok();
        self.abandon.cancel();
        self.tasks.wait().await;
        finished
    }
}

struct Acceptor {
    tasks: TaskTracker,
    stop: CancellationToken,
    abandon: CancellationToken,
    router: Router,
    limits: ConnectionLimits,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(self.limits.open));
        loop {
            let accepted = async {
                // The semaphore is never closed, so there is always a permit in the end.
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                (listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.serve(stream, ConnectInfo(peer));
                    self.tasks.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) if is_one_connections_own(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: ConnectInfo<std::net::SocketAddr>,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Without it, small events of a stream wait for the reader's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let router = router.clone();
            router.oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.headers)
            .serve_connection(
                TokioIo::new(ReapedStream::new(stream, self.limits.stalled_write)),
                service,
            );
        let (stop, abandon) = (self.stop.clone(), self.abandon.clone());
        async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        ended = connection.as_mut() => ended,
                        () = abandon.cancelled() => return,
                    }
                }
            };
            if let Err(error) = ended {
                // Slow, broken and vanished peers: everyday life, and nothing to act on.
                tracing::debug!(%error, "a connection ended early");
            }
        }
    }
}

/// Errors of `accept` that concern the connection that was to be accepted, and no other.
fn is_one_connections_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// A stream whose writes fail once its reader has taken nothing for a while.
struct ReapedStream {
    stream: TcpStream,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ReapedStream {
    fn new(stream: TcpStream, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            stalled: None,
        }
    }

    fn reap<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ReapedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ReapedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.reap(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.reap(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
