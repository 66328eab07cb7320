//! MCP against servers that do as they should, in each way there is, and servers that do not.

mod calls;
mod hostile;
mod listings;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_tools::Outcome;
use stoa_tools::headers::Headers;
use stoa_tools::mcp::{self, Call, Listing, McpError, Server};
use stoa_tools::schema::Schema;

use server::Said;

const KEY: &str = "Bearer key-0123456789abcdef";

fn outbound() -> Outbound {
    Outbound::new(AddressPolicy::loopback())
}

/// A server at this address, which has a key and was found to speak this version.
fn at(url: &str, version: Option<&str>) -> Arc<Server> {
    let headers = BTreeMap::from([("Authorization".to_owned(), KEY.to_owned())]);
    let headers = Headers::parse(&headers).unwrap_or_else(|_| panic!("the headers are right"));
    let url = url.parse().expect("an address");
    Arc::new(Server::new(url, headers, version.map(str::to_owned)))
}

/// Lists its tools, and says farewell.
async fn list(server: &Arc<Server>) -> Result<Listing, McpError> {
    let (listed, farewell) = mcp::list(&outbound(), server).await;
    farewell.say().await;
    listed
}

/// Calls `echo`, and says farewell.
async fn call(server: &Arc<Server>, arguments: Value) -> Outcome {
    call_given_up(server, arguments, std::future::pending()).await
}

async fn call_given_up(
    server: &Arc<Server>,
    arguments: Value,
    given_up: impl Future<Output = ()>,
) -> Outcome {
    let parameters = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"}}});
    let arguments: Map<String, Value> = arguments.as_object().cloned().expect("an object");
    let schema = Schema::of_others(parameters).expect("a schema");
    let call = Call {
        tool: "echo",
        schema: &schema,
        arguments: &arguments,
        idempotency_key: None,
    };
    let (outcome, farewell) = mcp::call(&outbound(), server, &call, given_up).await;
    farewell.say().await;
    outcome
}

/// What the methods of requests were, in order.
fn methods(said: &[Said]) -> Vec<String> {
    said.iter().map(Said::method).collect()
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "Says it again.", "inputSchema": {"type": "object"}})
}
