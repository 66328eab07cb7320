//! What a person sets about a server, before it is stored: changed field by field, then examined.

use std::sync::Arc;

use stoa_client_db::mcp_servers::{AllowedTool, McpServerSettings, StoredMcpServer};
use stoa_domain::Violation;
use stoa_domain::seal::SealError;
use stoa_domain::violation::Violations;
use stoa_tools::headers::Headers;
use stoa_tools::mcp::Server;
use url::Url;

use super::McpServerError;
use super::offer::{self, ToolChange};
use crate::App;
use crate::tools::{ChangeRefused, Endpoint, HeaderChanges};

const LONGEST_NAME: usize = 20;
const LONGEST_URL: usize = 2_000;

/// What is to be different. `None` leaves a field as it is.
#[derive(Default)]
pub struct Changes {
    /// Stands before the names of its tools.
    pub name: Option<String>,
    /// Where it is.
    pub url: Option<String>,
    /// Headers by name: one with a value is set, one without is removed, others stay. `Some(None)`
    /// removes all.
    pub headers: HeaderChanges,
    /// Whether its tools are used at all.
    pub enabled: Option<bool>,
    /// Which of its tools are allowed; others stay as they are.
    pub tools: Option<Vec<ToolChange>>,
}

/// A server as it is to be stored, but for the sealing.
pub(super) struct Draft {
    name: String,
    enabled: bool,
    place: Place,
    pub(super) allowed: Vec<AllowedTool>,
    /// Whether it is another server from now on.
    pub(super) moved: bool,
}

/// Where it is.
enum Place {
    /// To be sealed anew.
    Known(Endpoint),
    /// As it was sealed.
    Sealed(Vec<u8>),
}

impl Draft {
    /// A new server.
    pub(super) fn new(fields: Changes) -> Self {
        Self {
            name: fields.name.unwrap_or_default(),
            enabled: fields.enabled.unwrap_or(true),
            place: Place::Known(Endpoint::new(fields.url, fields.headers)),
            allowed: Vec::new(),
            moved: false,
        }
    }

    /// A stored server with changes.
    pub(super) fn of(
        stored: StoredMcpServer,
        endpoint: Option<Endpoint>,
        changes: Changes,
    ) -> Result<Self, McpServerError> {
        let Changes {
            name,
            url,
            headers,
            enabled,
            tools,
        } = changes;
        let moved = match (&url, &endpoint) {
            (None, _) => false,
            (Some(url), Some(endpoint)) => !is_same(url.trim(), &endpoint.url),
            // Nobody knows where it was.
            (Some(_), None) => true,
        };
        let allowed = match tools {
            Some(_) if moved => {
                return Err(wrong_tools("refresh the server at its new address first"));
            }
            Some(tools) => offer::allow(&stored, tools)?,
            None if moved => Vec::new(),
            None => stored.allowed,
        };
        // Where nobody changes the place, what is sealed stays the same: whoever is asking the server
        // just now knows it again by that.
        let stays = url.is_none() && headers.is_none();
        let changed = Endpoint::changed(endpoint, url, headers)?.filter(|_| !stays);
        let place = changed.map_or(Place::Sealed(stored.settings.sealed), Place::Known);
        Ok(Self {
            name: name.unwrap_or(stored.settings.name),
            enabled: enabled.unwrap_or(stored.settings.enabled),
            place,
            allowed,
            moved,
        })
    }

    /// Examines every field, and whether the address may be asked so far as can be said without it.
    pub(super) fn examine(&self, app: &App) -> Result<(), McpServerError> {
        let mut violations = Violations::default();
        violations.require(
            is_name(&self.name),
            "name",
            "1 to 20 small letters, digits and underscores, beginning with a letter",
        );
        let mut violations = violations.into_result().err().unwrap_or_default();
        let server = match &self.place {
            Place::Known(endpoint) => match server(endpoint, None) {
                Ok(server) => Some(server),
                Err(wrong) => {
                    violations.extend(wrong);
                    None
                }
            },
            // It was examined when it was given.
            Place::Sealed(_) => None,
        };
        if !violations.is_empty() {
            return Err(McpServerError::Invalid(violations));
        }
        match server {
            Some(server) => server
                .judge(app.outbound())
                .map_err(McpServerError::Refused),
            None => Ok(()),
        }
    }

    /// What is stored of it.
    pub(super) fn settings(
        &self,
        seal: impl FnOnce(&Endpoint) -> Result<Vec<u8>, SealError>,
    ) -> Result<McpServerSettings, SealError> {
        Ok(McpServerSettings {
            name: self.name.clone(),
            enabled: self.enabled,
            sealed: match &self.place {
                Place::Known(endpoint) => seal(endpoint)?,
                Place::Sealed(sealed) => sealed.clone(),
            },
        })
    }
}

impl From<ChangeRefused> for McpServerError {
    fn from(refused: ChangeRefused) -> Self {
        match refused {
            ChangeRefused::AddressRequired => Self::AddressRequired,
            ChangeRefused::HeadersRequired => Self::HeadersRequired,
        }
    }
}

/// The server that an address and headers describe, and that was found to speak `version`.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn server(
    endpoint: &Endpoint,
    version: Option<String>,
) -> Result<Arc<Server>, Vec<Violation>> {
    let headers = Headers::parse(&endpoint.headers);
    let url = Url::parse(&endpoint.url).ok().filter(|url| {
        endpoint.url.len() <= LONGEST_URL
            && matches!(url.scheme(), "https" | "http")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    match (url, headers) {
        (Some(url), Ok(headers)) => Ok(Arc::new(Server::new(url, headers, version))),
        (url, headers) => {
            let wrong_url = url.is_none().then(|| Violation {
                field: "url".to_owned(),
                message: "an address such as “https://mcp.example.com/mcp”, without user, password or fragment".to_owned(),
            });
            let wrong = wrong_url
                .into_iter()
                .chain(headers.err().unwrap_or_default());
            Err(wrong.collect())
        }
    }
}

pub(super) fn wrong_tools(message: &str) -> McpServerError {
    McpServerError::Invalid(vec![Violation {
        field: "tools".to_owned(),
        message: message.to_owned(),
    }])
}

fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|it: char| it.is_ascii_lowercase())
        && name
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
}

/// Whether two addresses are one, however they are written.
fn is_same(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
