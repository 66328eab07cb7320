//! A stream that reads along with the PostgreSQL protocol and ends it when a server overdoes it.
//!
//! The driver buffers a whole message before it looks at it, so a server that announces 2 GiB gets
//! 2 GiB of our memory. Here the announcement itself is judged, before any of it is read.

use std::{
    convert::Infallible,
    future::{Ready as ReadyFuture, ready},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::transport::Transport;
use crate::error::{ClientDbError, ServerError};

/// What may be read before the server has let us in, and between statements: 64 KiB.
const WHILE_NOTHING_IS_ASKED: u64 = 64 * 1024;

/// How many bytes the server may still send, shared by the stream and the connection above it.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    violation: Mutex<Option<WireViolation>>,
    /// The process that the server said it is: a pooler makes up a number.
    process_id: AtomicU32,
}

/// What a server did that ended its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireViolation {
    #[error("it does not speak PostgreSQL")]
    NotPostgres,
    #[error("it announced or sent more than it may before the sign-in")]
    TooMuchBeforeSignIn,
    #[error("it announced or sent more than the limit")]
    TooMuch,
    #[error("it sent a malformed message")]
    Malformed,
    #[error("it asks for the password in clear text")]
    CleartextPassword,
    #[error("it asks for an MD5 hash of the password")]
    Md5Password,
    #[error("it asks for a way to sign in that is not spoken here")]
    UnknownAuthentication,
}

impl From<WireViolation> for ClientDbError {
    fn from(violation: WireViolation) -> Self {
        match violation {
            WireViolation::TooMuch => Self::TooMuch,
            WireViolation::CleartextPassword
            | WireViolation::Md5Password
            | WireViolation::UnknownAuthentication => Self::SignIn(ServerError {
                // invalid_authorization_specification
                sqlstate: "28000".into(),
                message: violation.to_string(),
            }),
            WireViolation::NotPostgres
            | WireViolation::TooMuchBeforeSignIn
            | WireViolation::Malformed => Self::Protocol {
                reason: violation.to_string(),
            },
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: AtomicU64::new(WHILE_NOTHING_IS_ASKED),
            violation: Mutex::new(None),
            process_id: AtomicU32::new(0),
        }
    }
}

impl Budget {
    /// Allows `bytes` for the answer to a statement.
    pub(crate) fn allow(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// Back to what may come unasked.
    pub(crate) fn rest(&self) {
        self.allow(WHILE_NOTHING_IS_ASKED);
    }

    /// What the server did, if it did something.
    pub(crate) fn violation(&self) -> Option<WireViolation> {
        *self
            .violation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that the server said it is.
    pub(crate) fn process_id(&self) -> u32 {
        self.process_id.load(Ordering::Relaxed)
    }

    fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// False when there was less left than `bytes`.
    fn spend(&self, bytes: u64) -> bool {
        self.left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .is_ok()
    }

    fn record(&self, violation: WireViolation) -> io::Error {
        *self
            .violation
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(violation);
        io::Error::other(violation)
    }
}

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

/// Follows the boundaries of messages: one byte of tag, four of length, the body.
#[derive(Debug, Default)]
struct MessageReader {
    header: [u8; 5],
    header_len: usize,
    body_left: u64,
    /// The number at the start of an authentication request or of a key, as far as it has come.
    number: Option<([u8; 4], usize)>,
    /// The tag of the message whose body is being followed.
    tag: u8,
    met_a_message: bool,
    signed_in: bool,
}

impl MessageReader {
    fn follow(&mut self, mut bytes: &[u8], budget: &Budget) -> Result<(), WireViolation> {
        while !bytes.is_empty() {
            if self.body_left == 0 {
                bytes = self.take_header(bytes, budget)?;
            } else {
                bytes = self.take_body(bytes, budget)?;
            }
        }
        Ok(())
    }

    fn take_header<'a>(
        &mut self,
        bytes: &'a [u8],
        budget: &Budget,
    ) -> Result<&'a [u8], WireViolation> {
        let wanted = (self.header.len() - self.header_len).min(bytes.len());
        let (now, later) = bytes.split_at(wanted);
        self.header[self.header_len..self.header_len + wanted].copy_from_slice(now);
        self.header_len += wanted;
        // The first byte is enough to know HTTP, SSH and the like.
        if !self.signed_in && !self.tag_may_come() {
            return Err(if self.met_a_message {
                WireViolation::Malformed
            } else {
                WireViolation::NotPostgres
            });
        }
        if self.header_len < self.header.len() {
            return Ok(later);
        }
        let [tag, a, b, c, d] = self.header;
        self.header_len = 0;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        self.body_left = length.checked_sub(4).ok_or(WireViolation::Malformed)?;
        if self.body_left > budget.left() {
            return Err(self.too_much());
        }
        self.met_a_message = true;
        self.tag = tag;
        let numbered = !self.signed_in && matches!(tag, b'R' | b'K');
        self.number = numbered.then_some(([0; 4], 0));
        if numbered && self.body_left < 4 {
            return Err(WireViolation::Malformed);
        }
        if tag == b'Z' {
            self.signed_in = true;
        }
        Ok(later)
    }

    /// Before we are let in: authentication, error, notice, version, parameter, key, ready.
    fn tag_may_come(&self) -> bool {
        let first = matches!(self.header[0], b'R' | b'E' | b'N' | b'v');
        first || (self.met_a_message && matches!(self.header[0], b'S' | b'K' | b'Z'))
    }

    fn take_body<'a>(
        &mut self,
        bytes: &'a [u8],
        budget: &Budget,
    ) -> Result<&'a [u8], WireViolation> {
        let here = usize::try_from(self.body_left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (now, later) = bytes.split_at(here);
        self.body_left -= here as u64;
        if let Some((number, have)) = &mut self.number {
            let wanted = (4 - *have).min(now.len());
            number[*have..*have + wanted].copy_from_slice(&now[..wanted]);
            *have += wanted;
            if *have == 4 {
                let number = u32::from_be_bytes(*number);
                self.number = None;
                match self.tag {
                    b'R' => judge_authentication(number)?,
                    _ => budget.process_id.store(number, Ordering::Relaxed),
                }
            }
        }
        Ok(later)
    }

    fn too_much(&self) -> WireViolation {
        if self.signed_in {
            WireViolation::TooMuch
        } else {
            WireViolation::TooMuchBeforeSignIn
        }
    }
}

/// Only SCRAM, or nothing at all where the server trusts this address.
fn judge_authentication(code: u32) -> Result<(), WireViolation> {
    match code {
        0 | 10 | 11 | 12 => Ok(()),
        3 => Err(WireViolation::CleartextPassword),
        5 => Err(WireViolation::Md5Password),
        _ => Err(WireViolation::UnknownAuthentication),
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

impl TlsConnect<GuardedStream> for Ready {
    type Stream = GuardedStream;
    type Error = Infallible;
    type Future = ReadyFuture<Result<GuardedStream, Infallible>>;

    fn connect(self, stream: GuardedStream) -> Self::Future {
        ready(Ok(stream))
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
