//! An MCP server of the newest version, whose tools a test can change, and which remembers what it
//! was asked.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// The server, on a socket of its own.
pub struct McpServer {
    /// Its address.
    pub url: String,
    state: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    tools: Vec<Value>,
    /// The name and the arguments of each call.
    calls: Vec<(String, Value)>,
    /// Whether it hangs up instead of listing its tools.
    broken: bool,
}

impl McpServer {
    /// Starts it with these tools; it ends with the test.
    pub async fn start(tools: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(Told {
            tools: tools.to_vec(),
            ..Told::default()
        }));
        let router = Router::new()
            .route("/mcp", post(answer))
            .with_state(Arc::clone(&state));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Self {
            url: format!("http://{address}/mcp"),
            state,
        }
    }

    /// From now on it offers these.
    pub fn offer(&self, tools: &[Value]) {
        self.state.lock().expect("nobody panicked").tools = tools.to_vec();
    }

    /// From now on it lists nothing.
    pub fn break_down(&self) {
        self.state.lock().expect("nobody panicked").broken = true;
    }

    /// What was called, in order.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.state.lock().expect("nobody panicked").calls.clone()
    }
}

/// A tool as a server describes it.
pub fn mcp_tool(name: &str, description: &str, read_only: bool) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": { "number": { "type": "integer" } },
            "required": ["number"],
        },
        "annotations": { "readOnlyHint": read_only },
    })
}

async fn answer(
    State(state): State<Arc<Mutex<Told>>>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> Json<Value> {
    let mut told = state.lock().expect("nobody panicked");
    let params = &request["params"];
    let result = match request["method"].as_str() {
        Some("server/discover") => json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
        Some("tools/list") if told.broken => json!({}),
        Some("tools/list") => json!({ "tools": told.tools }),
        Some("tools/call") => {
            let name = params["name"].as_str().unwrap_or_default().to_owned();
            told.calls.push((name, params["arguments"].clone()));
            // It repeats its key, as some servers do.
            let key = headers.get("authorization").and_then(|it| it.to_str().ok());
            let said = format!(
                "Order {} is on its way. {}",
                params["arguments"]["number"],
                key.unwrap_or_default()
            );
            json!({"content": [{"type": "text", "text": said}]})
        }
        _ => json!({}),
    };
    let mut reply = json!({"jsonrpc": "2.0", "id": request["id"]});
    reply["result"] = result;
    reply["result"]["resultType"] = json!("complete");
    Json(reply)
}
