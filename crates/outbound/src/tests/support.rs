//! Names that move, and web servers that say what a test wants said.

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};

use crate::{AddressPolicy, Outbound, Resolve};

pub(super) const SOON: Duration = Duration::from_millis(500);

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A resolver that gives the next of its answers each time, and the last one from then on.
pub(super) struct Moving {
    answers: Vec<Vec<IpAddr>>,
    pub(super) asked: AtomicUsize,
}

impl Moving {
    pub(super) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|it| it.iter().map(|it| ip(it)).collect());
        Arc::new(Self {
            answers: answers.collect(),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Moving {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[turn.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

pub(super) fn door(policy: AddressPolicy, answers: &[&[&str]]) -> Outbound {
    Outbound::with_resolver(policy, Moving::new(answers))
}

/// A door that permits this machine.
pub(super) fn open() -> Outbound {
    Outbound::new(AddressPolicy::loopback())
}

/// A web server that answers every request by a function of its text.
pub(super) struct Web {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Web {
    pub(super) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&web.requests), Arc::clone(&web.connections));
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                tokio::spawn(async move {
                    let _ = answer_all(stream, |it| {
                        requests.lock().unwrap().push(it.to_owned());
                        answer(it)
                    })
                    .await;
                });
            }
        });
        web
    }

    /// One that says the same to everybody.
    pub(super) async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_| answer.clone()).await
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self, path: &str) -> url::Url {
        format!("http://127.0.0.1:{}{path}", self.port)
            .parse()
            .unwrap()
    }
}

/// Reads requests and answers them until the other side leaves. An answer that does not say how
/// long it is ends with the connection.
pub(super) async fn answer_all<S>(
    mut stream: S,
    mut answer: impl FnMut(&str) -> Vec<u8>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard).to_string();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if stream.read_buf(&mut heard).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let length = head
            .lines()
            .find_map(|it| {
                it.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            })
            .map_or(0, |it| it.parse::<usize>().unwrap());
        if body.len() < length {
            if stream.read_buf(&mut heard).await? == 0 {
                return Ok(());
            }
            continue;
        }
        heard.clear();
        let said = answer(&text);
        stream.write_all(&said).await?;
        let said = String::from_utf8_lossy(&said).to_ascii_lowercase();
        if !said.contains("content-length") && !said.contains("chunked") {
            return stream.shutdown().await;
        }
    }
}

/// An answer with this body.
pub(super) fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n");
    let mut bytes = std::mem::take(&mut answer).into_bytes();
    bytes.extend(body);
    bytes
}

/// A redirect.
pub(super) fn to(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
        .into_bytes()
}
