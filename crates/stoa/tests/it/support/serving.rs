//! The program as a server, in a process of its own.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::Value;
use stoa_platform_db::testing::{cluster_url, create_empty};

use super::Caller;
use crate::program::Program;

/// The master key of programs whose key does not matter.
pub const MASTER_KEY: &str = "k1:q83vEjRWeJq83vASNFZ4kKvN7wEjRWeJASNFZ4mrze8=";

/// A running `stoa serve`, killed when the test ends.
pub struct Serving {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Read all the time: a server whose log nobody reads stands still when the pipe is full.
    log: Option<JoinHandle<String>>,
}

impl Serving {
    /// Starts it, and waits until it is ready.
    pub fn start(program: Program, arguments: &[&str]) -> (Self, Program) {
        let address = free_address();
        let program = program.with("PORT", &address.port().to_string());
        let mut child = program
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            errors.read_to_string(&mut log).unwrap();
            log
        });
        let mut serving = Self {
            child,
            address,
            log: Some(log),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !serving.get("/readyz").starts_with("HTTP/1.1 200") {
            assert!(
                Instant::now() < deadline,
                "the server was not ready in time"
            );
            if let Some(status) = serving.child.try_wait().unwrap() {
                let log = serving.log.take().map(|log| log.join().unwrap());
                panic!("the server ended with {status}: {log:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        (serving, program)
    }

    /// One request on a connection of its own; empty where nobody listens.
    pub fn get(&self, path: &str) -> String {
        get_at(self.address, path)
    }

    /// Whoever owns the platform, calling this server. Its program makes them a token.
    pub fn caller(&self, program: &Program) -> Caller {
        let token = program.run(&["token", "create", "--name", "tests"]);
        assert_eq!(token.status, 0, "{token:?}");
        let base = format!("http://{}", self.address);
        Caller::new(base, token.stdout.trim().to_owned())
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What was printed up to now: the lines before the server listened.
    pub fn printed(&mut self, lines: usize) -> Vec<String> {
        let output = std::io::BufReader::new(self.child.stdout.take().unwrap());
        let lines = output.lines().take(lines);
        lines.map(|line| line.unwrap()).collect()
    }

    /// The JSON that is printed first, and the log; ends the server.
    pub fn first_result(mut self) -> (Value, String) {
        let output = self.child.stdout.take().unwrap();
        let mut results = serde_json::Deserializer::from_reader(output).into_iter::<Value>();
        let first = results.next().unwrap().unwrap();
        let (status, log, _) = self.end_by(rustix::process::Signal::TERM);
        assert_eq!(status, Some(0), "{log}");
        (first, log)
    }

    /// Sends a signal and waits for the end; gives the status and the log.
    pub fn end_by(mut self, signal: rustix::process::Signal) -> (Option<i32>, String, Duration) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let begun = Instant::now();
        rustix::process::kill_process(pid, signal).unwrap();
        let status = self.child.wait().unwrap().code();
        let took = begun.elapsed();
        let log = self.log.take().unwrap().join().unwrap();
        (status, log, took)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One request on a connection of its own; empty where nobody listens.
pub fn get_at(address: SocketAddr, path: &str) -> String {
    let mut answer = String::new();
    if let Some(mut stream) = connect(address) {
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .ok();
        stream.read_to_string(&mut answer).ok();
    }
    answer
}

/// An address where nobody listens.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A connection, if somebody listens.
#[expect(
    clippy::disallowed_methods,
    reason = "a test reaches the server that it has started"
)]
pub fn connect(address: SocketAddr) -> Option<TcpStream> {
    TcpStream::connect(address).ok()
}

/// A program with an empty platform database of its own.
pub async fn on_empty_database() -> Program {
    let (_, url) = create_empty().await;
    Program::new()
        .with("PLATFORM_DATABASE_URL", url.expose_secret())
        .with("STOA_MASTER_KEY", MASTER_KEY)
}

/// The same, with the test run's cluster for clients' databases and with providers on this machine.
pub async fn on_managed_cluster() -> Program {
    on_empty_database()
        .await
        .with("STOA_MANAGED_DATABASE_URL", &cluster_url())
        .with("STOA_ALLOWED_PRIVATE_HOSTS", "127.0.0.0/8")
}
