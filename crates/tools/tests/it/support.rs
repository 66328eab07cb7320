//! A server that says what a test wants, over a real socket.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What every request is answered with.
#[derive(Clone)]
pub enum Reply {
    /// One answer.
    Whole {
        status: &'static str,
        /// Lines with their ends.
        headers: &'static str,
        body: Vec<u8>,
    },
    /// The request itself, and its headers encoded in several ways.
    Echo,
    /// Nothing, and the connection stays.
    Silence,
    /// A byte of a body now and then.
    Drip,
    /// A body without an end.
    Endless,
    /// The connection is closed once the request has come.
    HangUp,
}

/// A request as it came.
#[derive(Clone)]
pub struct Seen {
    pub line: String,
    pub head: String,
    pub body: String,
}

pub struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Reply {
    pub fn json(body: &str) -> Self {
        Self::Whole {
            status: "200 OK",
            headers: "content-type: application/json\r\n",
            body: body.as_bytes().to_vec(),
        }
    }

    pub fn text(body: &str) -> Self {
        Self::Whole {
            status: "200 OK",
            headers: "content-type: text/plain; charset=utf-8\r\n",
            body: body.as_bytes().to_vec(),
        }
    }

    pub fn gzip(body: &[u8]) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body).unwrap();
        Self::Whole {
            status: "200 OK",
            headers: "content-type: text/plain\r\ncontent-encoding: gzip\r\n",
            body: encoder.finish().unwrap(),
        }
    }
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Server {
    pub async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, reply.clone(), Arc::clone(&seen)));
                }
            }
        });
        Self { port, seen, task }
    }

    pub fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// An address at which nobody listens any more.
    pub async fn gone(self) -> String {
        self.task.abort();
        let _ = self.task.await;
        format!("http://127.0.0.1:{}/{{id}}", self.port)
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, seen: Arc<Mutex<Vec<Seen>>>) {
    let request = receive(&mut stream).await;
    seen.lock().unwrap().push(request.clone());
    match reply {
        Reply::Whole {
            status,
            headers,
            body,
        } => send(&mut stream, status, headers, &body).await,
        Reply::Echo => {
            let body = echo(&request);
            let headers = "content-type: text/plain\r\n";
            send(&mut stream, "200 OK", headers, body.as_bytes()).await;
        }
        Reply::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
        Reply::Drip => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";
            let mut open = stream.write_all(head).await.is_ok();
            while open {
                open = stream.write_all(b"a").await.is_ok();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Reply::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";
            let mut open = stream.write_all(head).await.is_ok();
            while open {
                open = stream.write_all("é".repeat(8_192).as_bytes()).await.is_ok();
            }
        }
        Reply::HangUp => {}
    }
}

async fn receive(stream: &mut TcpStream) -> Seen {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let seen = Seen {
                line: head.lines().next().unwrap().to_owned(),
                head: head.to_owned(),
                body: body.to_owned(),
            };
            let length = seen
                .header("content-length")
                .map_or(0, |it| it.parse().unwrap());
            if body.len() >= length {
                return seen;
            }
        }
        match stream.read(&mut piece).await.unwrap() {
            0 => panic!("the request broke off"),
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

async fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Whoever has read enough hangs up in the middle.
    if stream.write_all(head.as_bytes()).await.is_ok() {
        let _ = stream.write_all(body).await;
    }
}

fn echo(request: &Seen) -> String {
    use base64::Engine as _;
    let quoted = serde_json::to_string(&request.head).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&request.head);
    let escaped =
        percent_encoding::utf8_percent_encode(&request.head, percent_encoding::NON_ALPHANUMERIC);
    format!(
        "{}\n{quoted}\n{encoded}\n{escaped}\n{}",
        request.head, request.body
    )
}
