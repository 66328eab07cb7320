//! A real PostgreSQL behind something that can go wrong.

mod link;
mod statements;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    dialogue,
    record::{Counter, Record},
    script::Script,
};
use link::Link;

/// How many connections may wait to be taken.
const BACKLOG: u32 = 128;

/// What the proxy does with connections.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Hands everything on at once.
    Well,
    /// Every statement takes so much longer; signing in does not.
    Slow(Duration),
    /// What the server says arrives byte by byte, with so much time before each.
    Drip(Duration),
    /// Takes connections and everything that is said, and hands nothing on. What was held back is
    /// handed on when it is well again.
    Silent,
    /// Resets what is open, and refuses what comes.
    Dead,
    /// Resets each connection when the server has said so many bytes on it.
    ResetAfter(u64),
    /// Resets what is open, and follows a script with what comes, without the real server.
    Hostile(Box<Script>),
}

/// In front of a real PostgreSQL, on a port of its own that it keeps while it is dead. Ends, with
/// every connection, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    commands: mpsc::UnboundedSender<Command>,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

/// What the proxy has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    connections: Counter,
    pub(crate) statements: Counter,
    pub(crate) cancels: Counter,
    /// What scripts saw.
    record: Arc<Record>,
}

struct Command {
    what: Change,
    done: oneshot::Sender<()>,
}

enum Change {
    Set(Behaviour),
    Cut,
}

impl Proxy {
    /// In front of `real`, a host and port.
    ///
    /// # Errors
    ///
    /// When `real` is not an address or there is no port to listen on.
    pub async fn start(real: &str) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a fake leads to the database of a test, which no client chose"
        )]
        let mut found = lookup_host(real).await?;
        let real = found.next().ok_or(io::ErrorKind::NotFound)?;
        let port = Port::take()?;
        let (commands, orders) = mpsc::unbounded_channel();
        let seen = Arc::new(Seen::default());
        let host = Host {
            listener: Some(port.listen()?),
            address: port.address,
            port,
            real,
            behaviour: watch::Sender::new(Behaviour::Well),
            seen: Arc::clone(&seen),
            open: JoinSet::new(),
            cut: CancellationToken::new(),
        };
        let address = host.address;
        let mut tasks = JoinSet::new();
        tasks.spawn(host.run(orders));
        Ok(Self {
            address,
            commands,
            seen,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url`, an address of the real server, leading here instead.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let end_of_scheme = url.find("://").map_or(0, |it| it + 3);
        let (scheme, rest) = url.split_at(end_of_scheme);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let user = authority.rfind('@').map_or("", |it| &authority[..=it]);
        format!("{scheme}{user}{}{path}", self.address)
    }

    /// What it does from now on. When this returns, it does so: a dead one listens no more, and
    /// what was to be reset is.
    pub async fn set(&self, behaviour: Behaviour) {
        self.order(Change::Set(behaviour)).await;
    }

    /// Resets what is open and goes on as before.
    pub async fn cut(&self) {
        self.order(Change::Cut).await;
    }

    /// How many connections have come, requests to cancel included.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.seen.connections.get() + self.seen.record.connections.get()
    }

    /// How many statements were handed on. Not counted where the connection is encrypted.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.seen.statements.get()
    }

    /// How many requests to cancel a statement have come. Not counted where they are encrypted.
    #[must_use]
    pub fn cancels(&self) -> u64 {
        self.seen.cancels.get() + self.seen.record.cancels.get()
    }

    async fn order(&self, what: Change) {
        let (done, ready) = oneshot::channel();
        let _ = self.commands.send(Command { what, done });
        let _ = ready.await;
    }
}

/// A port that stays ours while nobody listens on it.
struct Port {
    address: SocketAddr,
    _reserved: TcpSocket,
}

impl Port {
    fn take() -> io::Result<Self> {
        let reserved = shared(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: reserved.local_addr()?,
            _reserved: reserved,
        })
    }

    fn listen(&self) -> io::Result<TcpListener> {
        shared(self.address)?.listen(BACKLOG)
    }
}

/// A socket that is bound, and lets others of ours be bound to the same port.
fn shared(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What the proxy's own task holds.
struct Host {
    address: SocketAddr,
    port: Port,
    listener: Option<TcpListener>,
    real: SocketAddr,
    behaviour: watch::Sender<Behaviour>,
    seen: Arc<Seen>,
    open: JoinSet<()>,
    cut: CancellationToken,
}

impl Host {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Command { what, done }) => {
                        self.change(what).await;
                        let _ = done.send(());
                    }
                    None => return,
                },
                Some(stream) = accepted(self.listener.as_ref()) => self.take(stream),
                Some(_) = self.open.join_next() => {}
            }
        }
    }

    fn take(&mut self, stream: TcpStream) {
        let (seen, cut) = (Arc::clone(&self.seen), self.cut.clone());
        if let Behaviour::Hostile(script) = &*self.behaviour.borrow() {
            let script = script.clone();
            self.open.spawn(async move {
                let record = Arc::clone(&seen.record);
                tokio::select! {
                    () = dialogue::hold(stream, &script, record) => {}
                    () = cut.cancelled() => {}
                }
            });
            return;
        }
        seen.connections.add(1);
        let link = Link {
            real: self.real,
            behaviour: self.behaviour.subscribe(),
            seen,
            cut,
        };
        self.open.spawn(link.hold(stream));
    }

    async fn change(&mut self, what: Change) {
        let Change::Set(behaviour) = what else {
            return self.reset_all().await;
        };
        let is_dead = matches!(behaviour, Behaviour::Dead);
        let is_new_world = matches!(behaviour, Behaviour::Dead | Behaviour::Hostile(_))
            || matches!(&*self.behaviour.borrow(), Behaviour::Hostile(_));
        if is_dead {
            self.listener = None;
        }
        self.behaviour.send_replace(behaviour);
        if is_new_world {
            self.reset_all().await;
        }
        if !is_dead && self.listener.is_none() {
            self.listener = self.port.listen().ok();
        }
    }

    async fn reset_all(&mut self) {
        std::mem::take(&mut self.cut).cancel();
        while self.open.join_next().await.is_some() {}
    }
}

/// The next connection; for ever without a listener.
async fn accepted(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}
