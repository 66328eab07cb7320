//! A stream that reads along with the PostgreSQL protocol and ends it when a server overdoes it.
//!
//! The driver buffers a whole message before it looks at it, so a server that announces 2 GiB gets
//! 2 GiB of our memory. Here the announcement itself is judged, before any of it is read.

use std::{
    convert::Infallible,
    future::{Ready as ReadyFuture, ready},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::{budget::Budget, reader::MessageReader, transport::Transport};

/// The transport with somebody reading along.
pub(crate) struct GuardedStream {
    transport: Transport,
    budget: Arc<Budget>,
    reader: MessageReader,
}

impl GuardedStream {
    pub(crate) fn new(transport: Transport, budget: Arc<Budget>) -> Self {
        Self {
            transport,
            budget,
            reader: MessageReader::default(),
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(violation) = this.budget.violation() {
            return Poll::Ready(Err(io::Error::other(violation)));
        }
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut this.transport).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        let outcome = if this.budget.spend(read.len() as u64) {
            this.reader.follow(read, &this.budget)
        } else {
            Err(this.reader.too_much())
        };
        Poll::Ready(outcome.map_err(|violation| this.budget.record(violation)))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl TlsStream for GuardedStream {
    fn channel_binding(&self) -> ChannelBinding {
        self.transport.channel_binding()
    }
}

/// Hands the driver a stream on which encryption is settled already.
pub(crate) struct Ready;

impl<S> TlsConnect<S> for Ready
where
    S: TlsStream + Unpin,
{
    type Stream = S;
    type Error = Infallible;
    type Future = ReadyFuture<Result<S, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(stream))
    }
}
