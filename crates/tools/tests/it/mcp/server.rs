//! A web server that answers each request by a function of it, as bytes, in pieces, or never.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request, as it came.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) head: String,
    pub(super) body: Value,
}

/// What is written in answer.
pub(super) enum Reply {
    /// These bytes, and the connection goes on.
    Whole(Vec<u8>),
    /// These bytes one piece after another, then the end of the connection.
    Pieces(Vec<Vec<u8>>),
    /// These bytes, then silence.
    Hanging(Vec<u8>),
    /// These bytes, then these others again and again.
    Endless(Vec<u8>, Vec<u8>),
}

pub(super) struct Hostile {
    pub(super) url: String,
    said: Arc<Mutex<Vec<Said>>>,
}

impl Said {
    /// The method of JSON-RPC, or of HTTP where there is no message; an answer to the server is
    /// `answer`.
    pub(super) fn method(&self) -> String {
        match (self.body.get("method").and_then(Value::as_str), &self.body) {
            (Some(method), _) => method.to_owned(),
            (None, Value::Null) => self.head.split(' ').next().unwrap_or_default().to_owned(),
            (None, _) => "answer".to_owned(),
        }
    }

    /// A header of the request; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().skip(1);
        let mut fields = lines.filter_map(|it| it.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    pub(super) fn id(&self) -> Value {
        self.body["id"].clone()
    }
}

impl Hostile {
    pub(super) async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Said) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let said: Arc<Mutex<Vec<Said>>> = Arc::default();
        let (heard, answer) = (Arc::clone(&said), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, answer) = (Arc::clone(&heard), Arc::clone(&answer));
                tokio::spawn(async move {
                    // A client that hangs up ends the connection, as it may.
                    let _ = serve(stream, &heard, answer.as_ref()).await;
                });
            }
        });
        let url = format!("http://127.0.0.1:{port}/mcp");
        Self { url, said }
    }

    /// What was asked so far.
    pub(super) fn said(&self) -> Vec<Said> {
        self.said.lock().expect("not poisoned").clone()
    }
}

async fn serve<F>(
    mut stream: TcpStream,
    heard: &Mutex<Vec<Said>>,
    answer: &F,
) -> std::io::Result<()>
where
    F: Fn(&Said) -> Reply + Send + Sync + ?Sized,
{
    let mut bytes = Vec::new();
    while let Some(said) = read(&mut stream, &mut bytes).await? {
        heard.lock().expect("not poisoned").push(said.clone());
        match answer(&said) {
            Reply::Whole(whole) => stream.write_all(&whole).await?,
            Reply::Pieces(pieces) => {
                for piece in pieces {
                    stream.write_all(&piece).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                return stream.shutdown().await;
            }
            Reply::Hanging(beginning) => {
                stream.write_all(&beginning).await?;
                std::future::pending::<()>().await;
            }
            Reply::Endless(beginning, again) => {
                stream.write_all(&beginning).await?;
                loop {
                    stream.write_all(&again).await?;
                }
            }
        }
    }
    Ok(())
}

async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Option<Said>> {
    loop {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_owned();
            let mut said = Said {
                head,
                body: Value::Null,
            };
            let length = said.header("content-length").parse().unwrap_or(0);
            if body.len() >= length {
                said.body = serde_json::from_str(&body[..length]).unwrap_or_default();
                bytes.clear();
                return Ok(Some(said));
            }
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

/// An answer with this status, these further headers and this body.
pub(super) fn status(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Whole(
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
            .into_bytes(),
    )
}

/// JSON.
pub(super) fn json_reply(body: &Value) -> Reply {
    status(200, "content-type: application/json\r\n", &body.to_string())
}

/// The result of a request, as JSON.
pub(super) fn result(said: &Said, result: Value) -> Reply {
    let mut body = json!({"jsonrpc": "2.0", "id": said.id()});
    body["result"] = result;
    json_reply(&body)
}

/// An error with a status, as JSON.
pub(super) fn refused(code: u16, said: &Said, error: Value) -> Reply {
    let mut body = json!({"jsonrpc": "2.0", "id": said.id()});
    body["error"] = error;
    status(
        code,
        "content-type: application/json\r\n",
        &body.to_string(),
    )
}

/// The beginning of a stream of events that ends with the connection.
pub(super) const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// Events, one for each message, then the end.
pub(super) fn events(messages: &[Value]) -> Reply {
    let events: String = messages
        .iter()
        .map(|it| format!("event: message\ndata: {it}\n\n"))
        .collect();
    Reply::Pieces(vec![EVENTS.as_bytes().to_vec(), events.into_bytes()])
}

/// A server of the versions without sessions, but for what `special` answers.
pub(super) async fn stateless<F>(special: F) -> Hostile
where
    F: Fn(&Said) -> Option<Reply> + Send + Sync + 'static,
{
    Hostile::start(move |said| {
        if let Some(reply) = special(said) {
            return reply;
        }
        match said.method().as_str() {
            "server/discover" => result(
                said,
                json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}}),
            ),
            "tools/list" => result(said, json!({"resultType": "complete", "tools": [super::tool("echo")]})),
            "tools/call" => result(said, text("hello")),
            _ => refused(404, said, json!({"code": -32601, "message": "Method not found"})),
        }
    })
    .await
}

/// A server of the versions with sessions, but for what `special` answers. It knows one session.
pub(super) async fn with_sessions<F>(special: F) -> Hostile
where
    F: Fn(&Said) -> Option<Reply> + Send + Sync + 'static,
{
    Hostile::start(move |said| {
        if let Some(reply) = special(said) {
            return reply;
        }
        let method = said.method();
        let known = said.header("mcp-session-id") == "session-1";
        match method.as_str() {
            "initialize" => opened(said, "2025-11-25", "session-1"),
            _ if !known => refused(400, said, json!({"code": -32600, "message": "no session"})),
            "notifications/initialized" | "notifications/cancelled" | "answer" => {
                status(202, "", "")
            }
            "DELETE" => status(200, "", ""),
            "tools/list" => result(said, json!({"tools": [super::tool("echo")]})),
            "tools/call" => result(said, text("hello")),
            _ => refused(
                200,
                said,
                json!({"code": -32601, "message": "Method not found"}),
            ),
        }
    })
    .await
}

/// The answer to `initialize`.
pub(super) fn opened(said: &Said, version: &str, session: &str) -> Reply {
    let body = json!({"jsonrpc": "2.0", "id": said.id(), "result": {
        "protocolVersion": version, "capabilities": {"tools": {}},
        "serverInfo": {"name": "hostile", "version": "1"}}});
    let headers = format!("content-type: application/json\r\nmcp-session-id: {session}\r\n");
    status(200, &headers, &body.to_string())
}

/// A result of one text.
pub(super) fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}
