//! The tools that a client gives its bot: HTTP calls, described, changed, tried, removed. What is
//! secret in them goes in and never comes out.

mod draft;
mod endpoint;
mod mcp;
mod toolbox;
mod trial;

use stoa_client_db::tools::{self, NAME_TAKEN, StoredTool};
use stoa_client_db::{ClientConnection, ClientDbError, Page, PageRequest};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{InstanceId, ToolId, Violation};
use stoa_tools::AddressRefused;

pub use draft::Changes;
pub use endpoint::{HeaderChanges, ShownPlace};
pub use stoa_tools::Outcome;
pub use toolbox::{BoxedTool, Offered, Toolbox};
pub use trial::{SentTo, Trial, test};

pub(crate) use endpoint::{ChangeRefused, Endpoint, sealed_in};

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;
use draft::{Draft, Kept};

/// The most tools of an instance.
pub const MOST_TOOLS: i64 = 50;

/// Why a tool was not read, changed or tried.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// There is no such tool.
    #[error("there is no such tool")]
    NotFound,
    /// A field is wrong.
    #[error("the tool is not right")]
    Invalid(Vec<Violation>),
    /// Another tool has the name.
    #[error("another tool has this name")]
    NameTaken,
    /// The host changes, and the headers must be given again with it.
    #[error("the headers must be given again with another host")]
    HeadersRequired,
    /// Nobody may call that address.
    #[error("the address is refused")]
    Refused(#[source] AddressRefused),
    /// There are too many already.
    #[error("there are {MOST_TOOLS} tools already")]
    TooMany,
    /// Somebody else changed it meanwhile.
    #[error("the tool was changed meanwhile")]
    Changed,
    /// The address could not be sealed.
    #[error("the address could not be sealed")]
    Sealed(#[from] SealError),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
}

impl From<ClientDbError> for ToolError {
    fn from(error: ClientDbError) -> Self {
        match error {
            ClientDbError::Conflict { constraint } if constraint == NAME_TAKEN => Self::NameTaken,
            error => Self::Database(error.into()),
        }
    }
}

/// A tool as its client sees it.
pub struct Shown {
    /// What is stored.
    pub stored: StoredTool,
    /// Where it is, and what is known of its headers. `None` when what is stored does not open
    /// here, so that address and headers have to be given again.
    pub place: Option<ShownPlace>,
}

impl Shown {
    fn new(stored: StoredTool, caller: &ClientCaller) -> Self {
        let place = opened(&stored, caller).map(|endpoint| endpoint.shown());
        Self { stored, place }
    }
}

/// A page of them, newest first.
///
/// # Errors
/// When the client's database fails.
pub async fn list(
    app: &App,
    caller: &ClientCaller,
    request: &PageRequest,
) -> Result<Page<Shown>, ToolError> {
    let connection = app.checkout(caller.registered()).await?;
    let page = tools::page(&connection, request).await?;
    let shown = page.data.into_iter().map(|it| Shown::new(it, caller));
    Ok(Page {
        data: shown.collect(),
        next_cursor: page.next_cursor,
    })
}

/// One of them.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn find(app: &App, caller: &ClientCaller, id: ToolId) -> Result<Shown, ToolError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = stored(&connection, id).await?;
    Ok(Shown::new(stored, caller))
}

/// Adds one.
///
/// # Errors
/// When a field is wrong, the name is taken, there are too many, or the client's database fails.
pub async fn add(app: &App, caller: &ClientCaller, fields: Changes) -> Result<Shown, ToolError> {
    let draft = Draft::new(fields);
    examine(app, &draft)?;
    let id = app.new_id(ToolId::generate);
    let settings = sealed_settings(app, caller, id, draft)?;
    let connection = app.checkout(caller.registered()).await?;
    let now = app.clock().now();
    if !tools::insert(&connection, id, &settings, MOST_TOOLS, now).await? {
        return Err(ToolError::TooMany);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    find(app, caller, id).await
}

/// Changes one.
///
/// # Errors
/// When there is none with this id, a field is wrong, the headers are needed again, somebody else
/// changed it at the same time, or the client's database fails.
pub async fn change(
    app: &App,
    caller: &ClientCaller,
    id: ToolId,
    changes: Changes,
) -> Result<Shown, ToolError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = stored(&connection, id).await?;
    let seen = stored.updated_at;
    let endpoint = opened(&stored, caller);
    let draft = Draft::of(stored.settings, endpoint, changes)?;
    examine(app, &draft)?;
    let settings = sealed_settings(app, caller, id, draft)?;
    if !tools::update(&connection, id, &settings, seen, app.clock().now()).await? {
        return Err(ToolError::Changed);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    find(app, caller, id).await
}

/// Removes one.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn remove(app: &App, caller: &ClientCaller, id: ToolId) -> Result<(), ToolError> {
    let connection = app.checkout(caller.registered()).await?;
    if !tools::delete(&connection, id).await? {
        return Err(ToolError::NotFound);
    }
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    Ok(())
}

async fn stored(connection: &ClientConnection, id: ToolId) -> Result<StoredTool, ToolError> {
    let stored = tools::find(connection, id).await?;
    stored.ok_or(ToolError::NotFound)
}

/// Examines a draft, and whether its address may be called so far as can be said without a call.
fn examine(app: &App, draft: &Draft) -> Result<(), ToolError> {
    let tool = draft.examined().map_err(ToolError::Invalid)?;
    match draft.kept {
        // The address was examined when it was given, and cannot be looked at now.
        Kept::Sealed(_) => Ok(()),
        Kept::Endpoint => tool.judge(app.outbound()).map_err(ToolError::Refused),
    }
}

fn sealed_settings(
    app: &App,
    caller: &ClientCaller,
    id: ToolId,
    draft: Draft,
) -> Result<tools::ToolSettings, SealError> {
    let (instance, key) = (caller.instance(), caller.registered().key());
    draft.settings(|endpoint| endpoint.seal(&place(instance, id), key, app.random()))
}

/// Where a tool's address and headers are sealed.
const fn place(instance: InstanceId, id: ToolId) -> SealPlace {
    sealed_in("tools", instance, id.as_uuid())
}

fn opened(stored: &StoredTool, caller: &ClientCaller) -> Option<Endpoint> {
    open(stored, caller.instance(), caller.registered().key())
}

/// The opened address and headers; `None`, and a line in the log, when they do not open.
fn open(stored: &StoredTool, instance: InstanceId, key: &DataKey) -> Option<Endpoint> {
    Endpoint::open(&stored.settings.sealed, &place(instance, stored.id), key)
}
