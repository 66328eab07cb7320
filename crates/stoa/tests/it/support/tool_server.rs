//! What a tool calls: a server that remembers what it was asked, and repeats it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub uri: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

type Seen = Arc<Mutex<Vec<Asked>>>;

/// A server for tools, on a socket of its own.
pub struct ToolServer {
    /// Where it is, without a slash at the end.
    pub url: String,
    seen: Seen,
}

impl ToolServer {
    /// Starts it; it ends with the test.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Seen::default();
        let router = Router::new().fallback(repeat).with_state(Arc::clone(&seen));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://{address}"),
            seen,
        }
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}

/// Answers with the request, as some servers do in their errors.
async fn repeat(
    State(seen): State<Seen>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut said = format!("{method} {uri}\n");
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        said.push_str(&format!("{name}: {value}\n"));
    }
    said.push_str(&body);
    let status = match uri.path() {
        path if path.ends_with("/missing") => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    let asked = Asked {
        method,
        uri: uri.to_string(),
        headers,
        body,
    };
    seen.lock().expect("nobody panicked").push(asked);
    (status, said)
}
