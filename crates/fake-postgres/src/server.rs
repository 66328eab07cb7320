//! The scripted server.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};

use crate::{
    dialogue,
    record::{Record, lock},
    script::Script,
};

/// How many bytes the system takes of what a client does not read: 64 KiB.
const SEND_BUFFER: u32 = 64 * 1024;
/// How many connections may wait to be taken.
const BACKLOG: u32 = 128;

/// A server that follows a script. Ends, with every connection, when it is dropped.
#[derive(Debug)]
pub struct FakePostgres {
    address: SocketAddr,
    script: Arc<Mutex<Arc<Script>>>,
    record: Arc<Record>,
    _tasks: JoinSet<()>,
}

impl FakePostgres {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start(script: Script) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // A flood shall cost the one who reads it, and not this machine's memory and time.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let script = Arc::new(Mutex::new(Arc::new(script)));
        let record = Arc::new(Record::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&script), Arc::clone(&record)));
        Ok(Self {
            address,
            script,
            record,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a client would give it, without TLS.
    #[must_use]
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        let address = self.address;
        format!("postgres://{user}:{password}@{address}/{database}?sslmode=disable")
    }

    /// What connections meet from now on; those that are open go on as they began.
    pub fn set(&self, script: Script) {
        *lock(&self.script) = Arc::new(script);
    }

    /// How many connections have come, requests to cancel included.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.record.connections.get()
    }

    /// How many requests to cancel a statement have come.
    #[must_use]
    pub fn cancels(&self) -> u64 {
        self.record.cancels.get()
    }

    /// How many bytes it has said, over all connections.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.record.said.get()
    }

    /// What clients said: the first mebibyte of it.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        self.record.heard()
    }

    /// The statements that clients ran: the first ten thousand.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        self.record.statements()
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Arc<Script>>>, record: Arc<Record>) {
    let mut connections = JoinSet::new();
    // Fails when there are no descriptors left, and then a test has other worries.
    while let Ok((stream, _)) = listener.accept().await {
        let (script, record) = (Arc::clone(&lock(&script)), Arc::clone(&record));
        connections.spawn(async move { dialogue::hold(stream, &script, record).await });
        while connections.try_join_next().is_some() {}
    }
}
