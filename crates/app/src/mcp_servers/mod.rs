//! The MCP servers whose tools a client gives its bot: added, asked for their tools, changed,
//! removed. Addresses and headers go in as secrets; headers never come out.
//!
//! A server offers, a person allows. No tool is used that nobody has looked at, a tool that changed
//! since is not used until somebody has looked at it again, and whether a call changes something is
//! what the person says, not the server.

mod draft;
mod offer;
mod refresh;
mod trial;

use stoa_client_db::ClientDbError;
use stoa_client_db::mcp_servers::{self, McpServerSettings, NAME_TAKEN, StoredMcpServer};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{InstanceId, McpServerId, Violation};
use stoa_tools::AddressRefused;
use stoa_tools::mcp::McpError;

pub use draft::Changes;
pub use offer::{ShownTool, ToolChange};
pub use refresh::refresh;
pub use trial::{Trial, test};

pub(crate) use draft::server;
pub(crate) use offer::in_use;

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;
use crate::tools::{Endpoint, ShownPlace, sealed_in};
use draft::Draft;

/// The most servers of an instance.
pub const MOST_SERVERS: i64 = 10;

/// Why a server was not read, changed or asked.
#[derive(Debug, thiserror::Error)]
pub enum McpServerError {
    /// There is no such server.
    #[error("there is no such server")]
    NotFound,
    /// A field is wrong.
    #[error("the server is not right")]
    Invalid(Vec<Violation>),
    /// Another server has the name.
    #[error("another server has this name")]
    NameTaken,
    /// The host changes, and the headers must be given again with it.
    #[error("the headers must be given again with another host")]
    HeadersRequired,
    /// The stored address does not open here, and has to be given again.
    #[error("the stored address does not open here")]
    AddressRequired,
    /// Nobody may be asked at that address.
    #[error("the address is refused")]
    Refused(#[source] AddressRefused),
    /// There are too many already.
    #[error("there are {MOST_SERVERS} servers already")]
    TooMany,
    /// Somebody else changed it meanwhile.
    #[error("the server was changed meanwhile")]
    Changed,
    /// A tool is not any more as it was looked at.
    #[error("the tool {0} changed since it was looked at")]
    ToolChanged(String),
    /// The server offers no tool of this name.
    #[error("the server offers no such tool")]
    NoTool,
    /// The server did not list its tools.
    #[error("the server did not list its tools")]
    Unlisted(#[source] McpError),
    /// The address could not be sealed.
    #[error("the address could not be sealed")]
    Sealed(#[from] SealError),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
}

impl From<ClientDbError> for McpServerError {
    fn from(error: ClientDbError) -> Self {
        match error {
            ClientDbError::Conflict { constraint } if constraint == NAME_TAKEN => Self::NameTaken,
            error => Self::Database(error.into()),
        }
    }
}

/// A server as its client sees it.
pub struct Shown {
    /// What is stored.
    pub stored: StoredMcpServer,
    /// Where it is, and what is known of its headers. `None` when what is stored does not open
    /// here, so that address and headers have to be given again.
    pub place: Option<ShownPlace>,
    /// What it offers, and what is allowed of that.
    pub tools: Vec<ShownTool>,
}

impl Shown {
    fn new(stored: StoredMcpServer, caller: &ClientCaller) -> Self {
        Self {
            place: opened(&stored, caller).map(|it| it.shown()),
            tools: offer::shown(&stored),
            stored,
        }
    }
}

/// All of them, by name.
///
/// # Errors
/// When the client's database fails.
pub async fn list(app: &App, caller: &ClientCaller) -> Result<Vec<Shown>, McpServerError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = mcp_servers::list(&connection).await?;
    let shown = stored.into_iter().map(|it| Shown::new(it, caller));
    Ok(shown.collect())
}

/// One of them.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn find(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
) -> Result<Shown, McpServerError> {
    let stored = stored(app, caller, id).await?;
    Ok(Shown::new(stored, caller))
}

/// Adds one, which is not asked for its tools yet.
///
/// # Errors
/// When a field is wrong, the name is taken, there are too many, or the client's database fails.
pub async fn add(
    app: &App,
    caller: &ClientCaller,
    fields: Changes,
) -> Result<Shown, McpServerError> {
    let draft = Draft::new(fields);
    draft.examine(app)?;
    let id = app.new_id(McpServerId::generate);
    let settings = sealed(app, caller, id, &draft)?;
    let connection = app.checkout(caller.registered()).await?;
    let now = app.clock().now();
    if !mcp_servers::insert(&connection, id, &settings, MOST_SERVERS, now).await? {
        return Err(McpServerError::TooMany);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    find(app, caller, id).await
}

/// Changes one. With another address it is another server: what was allowed of the old one is
/// forgotten.
///
/// # Errors
/// When there is none with this id, a field is wrong, the headers are needed again, a tool is not as
/// it was looked at, somebody else changed it at the same time, or the client's database fails.
pub async fn change(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
    changes: Changes,
) -> Result<Shown, McpServerError> {
    let stored = stored(app, caller, id).await?;
    let seen = stored.updated_at;
    let endpoint = opened(&stored, caller);
    let draft = Draft::of(stored, endpoint, changes)?;
    draft.examine(app)?;
    let settings = sealed(app, caller, id, &draft)?;
    let connection = app.checkout(caller.registered()).await?;
    let times = (seen, app.clock().now());
    let (allowed, moved) = (&draft.allowed, draft.moved);
    if !mcp_servers::update(&connection, id, &settings, allowed, moved, times).await? {
        return Err(McpServerError::Changed);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    find(app, caller, id).await
}

/// Removes one.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn remove(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
) -> Result<(), McpServerError> {
    let connection = app.checkout(caller.registered()).await?;
    if !mcp_servers::delete(&connection, id).await? {
        return Err(McpServerError::NotFound);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    Ok(())
}

async fn stored(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
) -> Result<StoredMcpServer, McpServerError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = mcp_servers::find(&connection, id).await?;
    stored.ok_or(McpServerError::NotFound)
}

fn sealed(
    app: &App,
    caller: &ClientCaller,
    id: McpServerId,
    draft: &Draft,
) -> Result<McpServerSettings, SealError> {
    let (instance, key) = (caller.instance(), caller.registered().key());
    draft.settings(|endpoint| endpoint.seal(&place(instance, id), key, app.random()))
}

/// Where a server's address and headers are sealed.
const fn place(instance: InstanceId, id: McpServerId) -> SealPlace {
    sealed_in("mcp_servers", instance, id.as_uuid())
}

fn opened(stored: &StoredMcpServer, caller: &ClientCaller) -> Option<Endpoint> {
    open(stored, caller.instance(), caller.registered().key())
}

/// The opened address and headers; `None`, and a line in the log, when they do not open.
pub(crate) fn open(
    stored: &StoredMcpServer,
    instance: InstanceId,
    key: &DataKey,
) -> Option<Endpoint> {
    Endpoint::open(&stored.settings.sealed, &place(instance, stored.id), key)
}
