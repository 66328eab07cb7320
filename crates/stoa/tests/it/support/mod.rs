//! What the tests share: a real server on a database of its own, and the roles that call it.

mod answer;
mod browser;
mod conversation;
mod instance;
mod mcp_server;
mod server;
mod serving;
mod sql;
mod tool_server;

use std::time::{Duration, Instant};

pub use answer::{Events, StreamEvent, read_stream, said};
pub use browser::{Browser, Page};
pub use conversation::{Conversation, whole};
pub use instance::{TestInstance, model_at};
pub use mcp_server::{McpServer, mcp_tool};
pub use server::{Caller, Server, expect, problem};
pub use serving::{
    MASTER_KEY, Serving, connect, free_address, get_at, on_empty_database, on_managed_cluster,
};
pub use sql::{execute, value};
pub use tool_server::ToolServer;

/// Waits until `check` gives something, for at most ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut check: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "within 10 s there should have been {what}"
        );
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
