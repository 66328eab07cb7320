//! The socket, with TLS or without, as it was agreed with the server.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use stoa_outbound::OutboundError;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{budget::WireViolation, tls};
use crate::{
    address::{DatabaseAddress, TlsMode},
    error::{ClientDbError, TlsFault},
};

type Encrypted = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::Stream;

/// What PostgreSQL calls the request for TLS: the length 8, then this code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A socket on which encryption is settled.
pub(crate) enum Transport {
    Plain(TcpStream),
    Encrypted(Box<Encrypted>),
}

impl Transport {
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }
}

impl TlsStream for Transport {
    fn channel_binding(&self) -> ChannelBinding {
        match self {
            Self::Plain(_) => ChannelBinding::none(),
            Self::Encrypted(stream) => stream.channel_binding(),
        }
    }
}

/// Asks for TLS as `address` wants it.
pub(crate) async fn negotiate(
    mut stream: TcpStream,
    address: &DatabaseAddress,
) -> Result<Transport, ClientDbError> {
    if address.tls() == TlsMode::Disable {
        return Ok(Transport::Plain(stream));
    }
    let lost = |error| lost(address, error);
    stream.write_all(&SSL_REQUEST).await.map_err(lost)?;
    // Exactly one byte: what a man in the middle might have put behind it in the clear then goes
    // to the TLS handshake, which fails on it.
    match stream.read_u8().await.map_err(lost)? {
        b'S' => encrypt(stream, address).await,
        b'N' if address.tls() == TlsMode::Prefer => Ok(Transport::Plain(stream)),
        b'N' => Err(ClientDbError::without_tls(
            TlsFault::NotOffered,
            "it does not offer TLS",
        )),
        // A PostgreSQL that fails this early says so with an error message, as does a pooler.
        b'E' => Err(ClientDbError::Protocol {
            reason: "it answered the request for TLS with an error".into(),
        }),
        _ => Err(WireViolation::NotPostgres.into()),
    }
}

async fn encrypt(stream: TcpStream, address: &DatabaseAddress) -> Result<Transport, ClientDbError> {
    let config = tls::client_config(address)?;
    let other = |reason: &str| ClientDbError::without_tls(TlsFault::Other, reason);
    let connector = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::make_tls_connect(
        &mut MakeRustlsConnect::new(config),
        address.host(),
    )
    .map_err(|error| other(&error.to_string()))?;
    let connected = connector.connect(stream).await;
    let stream = connected.map_err(|error: io::Error| {
        let inner = error.get_ref();
        match inner.and_then(|it| it.downcast_ref::<rustls::Error>()) {
            Some(tls) => ClientDbError::from_tls(tls),
            None => other(&error.to_string()),
        }
    })?;
    Ok(Transport::Encrypted(Box::new(stream)))
}

fn lost(address: &DatabaseAddress, error: io::Error) -> ClientDbError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return ClientDbError::Protocol {
            reason: "it closed the connection when asked for TLS".into(),
        };
    }
    ClientDbError::Unreachable(OutboundError::Unreachable {
        host: address.host().to_owned(),
        source: error,
    })
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Encrypted(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
