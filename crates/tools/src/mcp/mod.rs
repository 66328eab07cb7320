//! Remote MCP servers, by streamable HTTP: which tools one has, and calls of them.
//!
//! Two families of versions are spoken. Since 2026-07-28 a request says all of itself and there are
//! no sessions; before, one is opened by `initialize`. [`list`] finds out which it is, and whoever
//! keeps what it found spares [`call`] the question.
//!
//! Nothing lives longer than a listing or a call: no connection is listened on, no session kept, no
//! task left behind. So a slow or hostile server harms its own call only. Its bounds: time for the
//! whole, bytes and events of what it says, and how many tools of which size it may have. What it
//! says of a tool (that it only reads) is passed on and decides nothing here.

mod error;
mod listing;
mod message;
mod opening;
mod parameters;
mod reading;
mod results;
mod session;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use stoa_outbound::Outbound;
use url::Url;
use uuid::Uuid;

pub use error::McpError;
pub use listing::{LeftOut, ListedTool, Listing, MOST_TOOLS};
pub use session::Farewell;

use crate::Outcome;
use crate::door::{AddressRefused, judge};
use crate::headers::Headers;
use crate::schema::{Schema, misfits};
use crate::secrets::Secrets;
use session::Session;

/// How long it may take to list the tools of a server.
pub const LIST_TIME: Duration = Duration::from_secs(10);
/// How long a call may take.
pub const CALL_TIME: Duration = Duration::from_secs(20);

/// The newest version, which has no sessions.
pub(crate) const STATELESS: &str = "2026-07-28";
/// The versions with sessions, newest first.
pub(crate) const WITH_SESSIONS: [&str; 4] =
    ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// From when on a part of an address's path or query is taken for a key.
const LONGER_THAN_WORDS: usize = 16;

/// A server, as a client described it. It holds secrets, so there is no `Debug`.
pub struct Server {
    url: Url,
    headers: Headers,
    /// The version that it was found to speak.
    version: Option<String>,
    secrets: Secrets,
}

/// What is to be called.
pub struct Call<'a> {
    /// The server's name of the tool.
    pub tool: &'a str,
    /// What its arguments are, some of which may have to go along as headers.
    pub schema: &'a Schema,
    /// The arguments.
    pub arguments: &'a Map<String, Value>,
    /// Goes along as `Idempotency-Key`, for servers that know what that is.
    pub idempotency_key: Option<Uuid>,
}

impl Server {
    /// A server at this address. The headers go along with every request.
    #[must_use]
    pub fn new(url: Url, headers: Headers, version: Option<String>) -> Self {
        // An address can hold a key too: in a part that is too long for a word.
        let path = url.path_segments().into_iter().flatten();
        let query: Vec<_> = url.query_pairs().map(|(_, it)| it).collect();
        let values = path.chain(query.iter().map(AsRef::as_ref));
        let in_address = Secrets::of(values.filter(|it| it.len() >= LONGER_THAN_WORDS));
        Self {
            secrets: headers.secrets().and(in_address),
            url,
            headers,
            version,
        }
    }

    /// Judges the address, so far as can be said without resolving its name. It is judged again
    /// whenever the server is asked.
    ///
    /// # Errors
    /// Why nothing is asked there.
    pub fn judge(&self, outbound: &Outbound) -> Result<(), AddressRefused> {
        judge(outbound, &self.url)
    }

    /// Where it is, for people: the host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

/// The tools of a server, and the version that it speaks.
///
/// # Errors
/// See [`McpError`]. The session, where there was one, is ended by the [`Farewell`].
pub async fn list(
    outbound: &Outbound,
    server: &Arc<Server>,
) -> (Result<Listing, McpError>, Farewell) {
    let mut session = Session::new(outbound, server, LIST_TIME);
    let listed = match server.judge(outbound) {
        Ok(()) => listing::list(&mut session).await,
        Err(refused) => Err(refused.into()),
    };
    (listed, session.farewell())
}

/// Makes a call, unless the arguments do not fit, or it is given up before there is an answer: then,
/// and when time runs out, the server is told by the [`Farewell`].
pub async fn call(
    outbound: &Outbound,
    server: &Arc<Server>,
    call: &Call<'_>,
    given_up: impl Future<Output = ()>,
) -> (Outcome, Farewell) {
    let mut session = Session::new(outbound, server, CALL_TIME);
    if let Err(wrong) = call.schema.check(call.arguments) {
        return (misfits(&wrong), session.farewell());
    }
    if let Err(refused) = server.judge(outbound) {
        let told = format!("Nothing was sent: {refused}.");
        return (Outcome::failed(refused.code(), told), session.farewell());
    }
    let outcome = tokio::select! {
        outcome = results::call(&mut session, call) => outcome,
        () = given_up => Outcome::failed("cancelled", "The call was given up.".to_owned()),
    };
    (outcome, session.farewell())
}
