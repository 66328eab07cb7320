//! Finding out how a server wants to be spoken with, and opening a session where it wants one.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::error::McpError;
use super::message::{self, RpcError, UNSUPPORTED_VERSION};
use super::session::{Failure, Session, Way, client_info};
use super::{STATELESS, WITH_SESSIONS};

/// How long a server may think about a question that it may not understand.
const PROBE_TIME: Duration = Duration::from_secs(4);

impl Session {
    /// Makes the session ready for requests, in the way that the server was found to speak, or that
    /// it is found to speak now.
    pub(super) async fn open(&mut self) -> Result<(), McpError> {
        let known = self.server().version.clone();
        match known.as_deref() {
            Some(STATELESS) => {
                self.way = Way::Stateless;
                Ok(())
            }
            Some(_) => self.initialize().await,
            None => self.find_out().await,
        }
    }

    /// Opens a session, of the versions that have them.
    pub(super) async fn initialize(&mut self) -> Result<(), McpError> {
        self.way = Way::Unopened;
        let params = json!({
            "protocolVersion": WITH_SESSIONS[0],
            "capabilities": {},
            "clientInfo": client_info(),
        });
        let params = params.as_object().cloned().unwrap_or_default();
        let asked = self.ask("initialize", params, HeaderMap::new(), self.left());
        let answered = match asked.await {
            Ok(answered) => answered,
            // It speaks the newest version and no older one any more.
            Err(Failure::Rpc(_, error)) if error.supports(STATELESS) => {
                self.way = Way::Stateless;
                return Ok(());
            }
            Err(failure) => return Err(failure.shown(self.server())),
        };
        let spoken = answered
            .result
            .get("protocolVersion")
            .and_then(Value::as_str);
        let spoken = spoken.ok_or(McpError::Protocol("it does not say its version"))?;
        let version = WITH_SESSIONS.into_iter().find(|it| *it == spoken);
        // Opened also where the version is not known, so that the farewell ends it.
        self.opened(version.unwrap_or(WITH_SESSIONS[0]), answered.session_id)?;
        if version.is_none() {
            return Err(McpError::Version);
        }
        let body = message::notification("notifications/initialized", &Map::new());
        self.tell(&body).await
    }

    /// Asks in the newest version what the server speaks. What makes no sense of that is of an older
    /// one.
    async fn find_out(&mut self) -> Result<(), McpError> {
        self.way = Way::Stateless;
        let asked = self.ask("server/discover", Map::new(), HeaderMap::new(), PROBE_TIME);
        match asked.await {
            Ok(answered) => {
                let spoken = answered.result.get("supportedVersions");
                let spoken = spoken.and_then(Value::as_array);
                match spoken.is_some_and(|it| it.iter().any(|it| it == STATELESS)) {
                    true => Ok(()),
                    false => self.initialize().await,
                }
            }
            Err(Failure::Rpc(_, error)) if speaks_nothing_known(&error) => Err(McpError::Version),
            Err(Failure::Other(error)) if is_no_verdict(&error) => Err(error),
            Err(_) => self.initialize().await,
        }
    }
}

/// Whether a server names the versions that it speaks, and none is spoken here.
fn speaks_nothing_known(error: &RpcError) -> bool {
    let mut known = [STATELESS].into_iter().chain(WITH_SESSIONS);
    error.code == UNSUPPORTED_VERSION
        && error.data.get("supported").is_some_and(Value::is_array)
        && !known.any(|it| error.supports(it))
}

/// Whether a failure says nothing about versions: the next question would fail alike. One that was
/// not answered in time may have puzzled the server.
fn is_no_verdict(error: &McpError) -> bool {
    match error {
        McpError::Fetch(_) => !error.is_timeout(),
        McpError::Unauthorized { .. } | McpError::Redirected => true,
        _ => false,
    }
}

/// Whether a server that was taken for one without sessions shows that it is none, or none any
/// more: it refuses, without an error that only such a server knows. Nothing was done then.
pub(super) fn wants_a_session(failure: &Failure) -> bool {
    match failure {
        Failure::Rpc(status, error) => refuses(*status) && !error.is_of_stateless_versions(),
        Failure::Other(McpError::Status { status }) => {
            StatusCode::from_u16(*status).is_ok_and(refuses)
        }
        Failure::Other(_) => false,
    }
}

fn refuses(status: StatusCode) -> bool {
    let asks_to_wait = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
    );
    status.is_client_error() && !asks_to_wait
}
