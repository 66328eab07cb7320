//! Asking a server for its tools.

use stoa_client_db::mcp_servers::{self, LeftOutTool, Listing, OfferedTool, StoredMcpServer};
use stoa_domain::McpServerId;
use stoa_tools::mcp::{self, McpError};

use super::{McpServerError, Shown, find, opened, server, stored};
use crate::App;
use crate::access::ClientCaller;

/// Asks a server for its tools and keeps what it says. When it does not answer, what it offered
/// before stays, and why it did not is kept.
///
/// # Errors
/// When there is none with this id, its address does not open, it does not list its tools, or the
/// client's database fails.
pub async fn refresh(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
) -> Result<Shown, McpServerError> {
    let stored = stored(app, caller, id).await?;
    let endpoint = opened(&stored, caller).ok_or(McpServerError::AddressRequired)?;
    // Asked without a word on its version: it may have learnt a newer one.
    let server = server(&endpoint, None).map_err(McpServerError::Invalid)?;
    let (listed, farewell) = mcp::list(app.outbound(), &server).await;
    app.tasks().spawn(farewell.say());
    let kept = keep(app, caller, &stored, &listed).await?;
    listed.map_err(McpServerError::Unlisted)?;
    // Somebody has changed the address meanwhile: this was another server.
    if !kept {
        return Err(McpServerError::Changed);
    }
    find(app, caller, id).await
}

/// False when the server is another one by now.
async fn keep(
    app: &App,
    caller: &ClientCaller,
    stored: &StoredMcpServer,
    listed: &Result<mcp::Listing, McpError>,
) -> Result<bool, McpServerError> {
    let connection = app.checkout(caller.registered()).await?;
    let (id, sealed, now) = (stored.id, &stored.settings.sealed, app.clock().now());
    let kept = match listed {
        Ok(listing) => {
            let listing = offered(listing);
            mcp_servers::record_listing(&connection, id, sealed, &listing, now).await?
        }
        Err(error) => {
            mcp_servers::record_failure(&connection, id, sealed, error.code(), now).await?
        }
    };
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    Ok(kept)
}

fn offered(listing: &mcp::Listing) -> Listing {
    let tools = listing.tools.iter().map(|tool| OfferedTool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: tool.parameters.as_value().clone(),
        read_only: tool.read_only,
    });
    let left_out = listing.left_out.iter().map(|tool| LeftOutTool {
        name: tool.name.clone(),
        reason: tool.reason.to_owned(),
    });
    Listing {
        version: listing.version.to_owned(),
        tools: tools.collect(),
        left_out: left_out.collect(),
    }
}
