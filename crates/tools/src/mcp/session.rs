//! One conversation with a server: requests out, answers in, and an end. It has a time to be over by
//! and a number of bytes that it may read.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use stoa_outbound::{Bounds, FetchRequest, Fetched, Outbound};
use tokio::time::Instant;

use super::error::McpError;
use super::message::{self, RpcError};
use super::{STATELESS, Server};

const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The most bytes of one reply.
pub(super) const REPLY_BYTES: usize = 256 * 1024;
/// The most bytes of all replies: a listing has pages.
const ALL_BYTES: usize = 1024 * 1024;
const HEADER_BYTES: usize = 16 * 1024;
const LONGEST_SESSION_ID: usize = 1024;
/// How long an answer to the server, or a farewell, may take.
pub(super) const ASIDE: Duration = Duration::from_secs(2);

/// How requests are made, by what is known of the server.
#[derive(Clone, PartialEq)]
pub(super) enum Way {
    /// Each says all of itself.
    Stateless,
    /// In the session that was opened, in this version.
    Opened {
        version: &'static str,
        id: Option<HeaderValue>,
    },
    /// Before anything is opened.
    Unopened,
}

/// Why a request has no result.
pub(super) enum Failure {
    /// The server answered with an error, and this status.
    Rpc(StatusCode, RpcError),
    /// Anything else.
    Other(McpError),
}

pub(super) struct Session {
    outbound: Outbound,
    server: Arc<Server>,
    until: Instant,
    bytes_left: usize,
    last_id: u64,
    /// The request that has not been answered yet.
    waiting_for: Option<u64>,
    pub(super) way: Way,
}

impl Session {
    pub(super) fn new(outbound: &Outbound, server: &Arc<Server>, time: Duration) -> Self {
        Self {
            outbound: outbound.clone(),
            server: Arc::clone(server),
            until: Instant::now() + time,
            bytes_left: ALL_BYTES,
            last_id: 0,
            waiting_for: None,
            way: Way::Unopened,
        }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The version that is spoken.
    pub(super) fn version(&self) -> &'static str {
        match &self.way {
            Way::Opened { version, .. } => version,
            Way::Stateless | Way::Unopened => STATELESS,
        }
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Makes a request and reads its result. A session's id is taken from the answer to
    /// `initialize` alone.
    pub(super) async fn ask(
        &mut self,
        method: &'static str,
        mut params: Map<String, Value>,
        mut headers: HeaderMap,
        within: Duration,
    ) -> Result<Answered, Failure> {
        if self.way == Way::Stateless {
            params.insert("_meta".to_owned(), said_of_itself());
            headers.insert(METHOD_HEADER, HeaderValue::from_static(method));
        }
        self.last_id += 1;
        let id = self.last_id;
        self.waiting_for = Some(id);
        let within = within.min(self.left());
        let body = message::request(id, method, &params);
        let fetched = self
            .post(&body, headers, within, self.reply_bytes())
            .await?;
        let session_id = fetched.headers().get(SESSION_HEADER).cloned();
        let result = self.read(fetched, id).await;
        // What was answered, however, is not to be cancelled any more.
        let breaks_off = |it: &Failure| {
            matches!(
                it,
                Failure::Other(McpError::Fetch(_) | McpError::Protocol(_))
            )
        };
        self.waiting_for = result
            .as_ref()
            .err()
            .filter(|it| breaks_off(it))
            .map(|_| id);
        Ok(Answered {
            result: result?,
            session_id,
        })
    }

    /// Tells the server something, which it only has to take.
    pub(super) async fn tell(&self, body: &Value) -> Result<(), McpError> {
        let within = self.left();
        let fetched = self.post(body, HeaderMap::new(), within, 0).await?;
        match fetched.status() {
            status if status.is_success() => Ok(()),
            status => Err(failed(status)),
        }
    }

    /// Opens the session that the server gave, where it gave one.
    pub(super) fn opened(
        &mut self,
        version: &'static str,
        id: Option<HeaderValue>,
    ) -> Result<(), McpError> {
        let fits = |id: &HeaderValue| {
            let id = id.as_bytes();
            (1..=LONGEST_SESSION_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
        };
        if !id.as_ref().is_none_or(fits) {
            return Err(McpError::Protocol("the session has no fit name"));
        }
        self.way = Way::Opened { version, id };
        Ok(())
    }

    /// Ends the conversation: what is left to say is said by the [`Farewell`].
    pub(super) fn farewell(self) -> Farewell {
        Farewell(self)
    }

    /// Counts what was read.
    pub(super) fn count(&mut self, bytes: usize) {
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
    }

    fn reply_bytes(&self) -> usize {
        REPLY_BYTES.min(self.bytes_left)
    }

    pub(super) async fn post(
        &self,
        body: &Value,
        headers: HeaderMap,
        within: Duration,
        bytes: usize,
    ) -> Result<Fetched, McpError> {
        let mut request = self.server.headers.put_on(self.request(Method::POST));
        for (name, value) in &headers {
            request = request.header(name.clone(), value.clone());
        }
        request = request
            .header(header::CONTENT_TYPE, JSON)
            .header(header::ACCEPT, EITHER)
            .body(body.to_string());
        let fetched = self
            .outbound
            .fetch(self.in_session(request), bounds(within, bytes));
        Ok(fetched.await?)
    }

    fn request(&self, method: Method) -> FetchRequest {
        FetchRequest::new(method, self.server.url.clone())
    }

    /// With the headers that say the version and the session.
    fn in_session(&self, mut request: FetchRequest) -> FetchRequest {
        let (version, id) = match &self.way {
            Way::Stateless => (STATELESS, None),
            Way::Opened { version, id } => (*version, id.clone()),
            Way::Unopened => return request,
        };
        if let Some(id) = id {
            request = request.header(SESSION_HEADER, id);
        }
        request.header(VERSION_HEADER, HeaderValue::from_static(version))
    }
}

/// The result of a request, and the name of the session that came with it.
pub(super) struct Answered {
    pub(super) result: Map<String, Value>,
    pub(super) session_id: Option<HeaderValue>,
}

/// What is left to tell a server when the conversation is over. It need not be waited for by
/// whoever has the result.
#[must_use]
pub struct Farewell(Session);

impl Farewell {
    /// Tells the server that a request was given up and that the session is over, where there are
    /// such. Within 4 s, and whatever comes of it.
    pub async fn say(self) {
        let session = self.0;
        let Way::Opened { id, .. } = &session.way else {
            // Without sessions, to hang up is to give up, and there is nothing to end.
            return;
        };
        if let Some(request) = session.waiting_for {
            let params = json!({"requestId": request, "reason": "given up"});
            let params = params.as_object().cloned().unwrap_or_default();
            let body = message::notification("notifications/cancelled", &params);
            let sent = session.post(&body, HeaderMap::new(), ASIDE, 0).await;
            log(
                sent.map(drop),
                "an MCP server was not told that a call was given up",
            );
        }
        if id.is_some() {
            let request = session
                .server
                .headers
                .put_on(session.request(Method::DELETE));
            let request = session.in_session(request);
            let sent = session.outbound.fetch(request, bounds(ASIDE, 0)).await;
            let sent = sent.map(drop).map_err(McpError::from);
            log(sent, "an MCP server was not told that a session is over");
        }
    }
}

fn log(sent: Result<(), McpError>, what: &'static str) {
    if let Err(error) = sent {
        tracing::debug!(code = error.code(), what);
    }
}

impl From<McpError> for Failure {
    fn from(error: McpError) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// As others may see it.
    pub(super) fn shown(self, server: &Server) -> McpError {
        match self {
            Self::Rpc(_, error) => McpError::refused(error.code, &error.message, &server.secrets),
            Self::Other(error) => error,
        }
    }
}

pub(super) fn failed(status: StatusCode) -> McpError {
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => McpError::Unauthorized { status: code },
        _ if status.is_redirection() => McpError::Redirected,
        _ => McpError::Status { status: code },
    }
}

/// Who asks and in which version, in each request of the versions without sessions.
fn said_of_itself() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientInfo": client_info(),
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// How Stoa names itself to servers.
pub(super) fn client_info() -> Value {
    json!({"name": "stoa", "version": env!("CARGO_PKG_VERSION")})
}

fn bounds(within: Duration, bytes: usize) -> Bounds {
    Bounds {
        total: within,
        headers: within,
        idle: within,
        header_bytes: HEADER_BYTES,
        body_bytes: bytes,
        redirects: 0,
    }
}
