//! One connection through the proxy.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Behaviour, Seen,
    statements::{Found, Statements},
};

/// What a connection through the proxy needs.
pub(super) struct Link {
    pub(super) real: SocketAddr,
    pub(super) behaviour: watch::Receiver<Behaviour>,
    pub(super) seen: Arc<Seen>,
    pub(super) cut: CancellationToken,
}

/// The real server was to be cut off here.
struct Cut;

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Link {
    /// Hands on what either side says until one leaves or the link is cut.
    pub(super) async fn hold(self, mut client: TcpStream) {
        let cut = self.cut.clone();
        let _ = client.set_nodelay(true);
        let was_cut = tokio::select! {
            () = cut.cancelled() => true,
            ended = self.hand_on(&mut client) => ended.is_err(),
        };
        if was_cut {
            // With nothing to linger for, the system sends a reset instead of a farewell.
            let _ = client.set_zero_linger();
        }
    }

    async fn hand_on(&self, client: &mut TcpStream) -> Result<(), Cut> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a fake leads to the database of a test, which no client chose"
        )]
        let mut server = TcpStream::connect(self.real).await?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        // Whoever leaves first ends both: PostgreSQL has no use for half a connection.
        tokio::select! {
            ended = self.up(from_client, to_server) => ended,
            ended = self.down(from_server, to_client) => ended,
        }
    }

    /// From the client to the server.
    async fn up(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Cut> {
        let mut statements = Statements::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let mut bytes = &buffer[..length];
            while !bytes.is_empty() {
                self.until_heard().await;
                let (count, found) = statements.follow(bytes);
                let (now, later) = bytes.split_at(count);
                to.write_all(now).await?;
                bytes = later;
                match found {
                    Some(Found::Statement) => {
                        self.seen.statements.add(1);
                        self.slow_down().await;
                    }
                    Some(Found::Encrypted) => self.slow_down().await,
                    Some(Found::Cancel) => self.seen.cancels.add(1),
                    None => {}
                }
            }
        }
    }

    async fn slow_down(&self) {
        let time = match &*self.behaviour.borrow() {
            Behaviour::Slow(time) => Some(*time),
            _ => None,
        };
        if let Some(time) = time {
            sleep(time).await;
        }
    }

    /// From the server to the client.
    async fn down(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Cut> {
        let mut said = 0;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let mut bytes = &buffer[..length];
            while !bytes.is_empty() {
                self.until_heard().await;
                let (drip, left) = match &*self.behaviour.borrow() {
                    Behaviour::Drip(every) => (Some(*every), usize::MAX),
                    Behaviour::ResetAfter(most) => {
                        let left = most.saturating_sub(said);
                        (None, usize::try_from(left).unwrap_or(usize::MAX))
                    }
                    _ => (None, usize::MAX),
                };
                if let Some(every) = drip {
                    sleep(every).await;
                }
                let most = if drip.is_some() { 1 } else { left };
                let (now, later) = bytes.split_at(bytes.len().min(most));
                to.write_all(now).await?;
                if now.is_empty() {
                    return Err(Cut);
                }
                said += now.len() as u64;
                bytes = later;
            }
        }
    }

    /// Waits while nothing is to be handed on.
    async fn until_heard(&self) {
        let mut behaviour = self.behaviour.clone();
        let _ = behaviour
            .wait_for(|it| !matches!(it, Behaviour::Silent))
            .await;
    }
}
