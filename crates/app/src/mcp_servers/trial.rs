//! Calling a tool of a server once, to see whether it works.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use stoa_domain::McpServerId;
use stoa_tools::Outcome;
use stoa_tools::mcp::{self, Call};
use stoa_tools::schema::Schema;

use super::{McpServerError, opened, server, stored};
use crate::App;
use crate::access::ClientCaller;

/// How a call went.
pub struct Trial {
    /// What came of it, as a model would have been told.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Calls a tool that a server offers, whether it is allowed or not: this is how somebody finds out
/// what it does. The call is a real one.
///
/// # Errors
/// When there is no server with this id or no tool of this name, its address does not open, or the
/// client's database fails. That the call fails is a result, not an error.
pub async fn test(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
    tool: &str,
    arguments: &Map<String, Value>,
) -> Result<Trial, McpServerError> {
    let stored = stored(app, caller, id).await?;
    let endpoint = opened(&stored, caller).ok_or(McpServerError::AddressRequired)?;
    let offered = stored.offered.iter().find(|it| it.name == tool);
    let offered = offered.ok_or(McpServerError::NoTool)?;
    let server = server(&endpoint, stored.version).map_err(McpServerError::Invalid)?;
    let schema = Schema::of_others(offered.parameters.clone()).map_err(McpServerError::Invalid)?;
    let call = Call {
        tool,
        schema: &schema,
        arguments,
        idempotency_key: None,
    };
    let started = Instant::now();
    let outbound = app.outbound();
    let (outcome, farewell) = mcp::call(outbound, &server, &call, std::future::pending()).await;
    app.tasks().spawn(farewell.say());
    Ok(Trial {
        outcome,
        took: started.elapsed(),
    })
}
