//! The shapes of MCP servers. Headers go in and never come out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stoa_app::mcp_servers::{Changes, Shown, ShownTool, ToolChange, Trial};
use stoa_domain::{McpServerId, ToolEffect};
use utoipa::ToSchema;

use crate::http::patch::{clearable, given};

/// An MCP server.
#[derive(Serialize, ToSchema)]
pub(crate) struct McpServerView {
    /// Its id.
    id: McpServerId,
    /// What it is called. Models know its tools as `name__tool`.
    name: String,
    /// Where it is. Null when what is stored does not open here.
    url: Option<String>,
    /// Whether the stored address does not open here, as in a database that was moved from another
    /// deployment: until `url` and `headers` are given again, none of its tools is used.
    needs_url: bool,
    /// The headers that go along, by name. Their values are never shown.
    headers: Vec<McpHeaderView>,
    /// Whether its tools are used at all.
    enabled: bool,
    /// The version of MCP that it was found to speak; null before it was first asked.
    protocol_version: Option<String>,
    /// What it offered when it last answered.
    tools: Vec<McpToolView>,
    /// What it offers besides and what cannot be used, the first 20.
    left_out: Vec<McpLeftOutView>,
    /// When it was last asked for its tools.
    listed_at: Option<DateTime<Utc>>,
    /// The code of why it did not list them then.
    list_error: Option<String>,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A header of an MCP server.
#[derive(Serialize, ToSchema)]
pub(crate) struct McpHeaderView {
    /// Its name.
    name: String,
    /// The last four characters of its value.
    hint: String,
}

/// A tool that an MCP server offers.
#[derive(Serialize, ToSchema)]
pub(crate) struct McpToolView {
    /// What the server calls it.
    name: String,
    /// What the server says of it.
    description: String,
    /// The JSON schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    /// Whether the bot may use it.
    allowed: bool,
    /// Whether it had been allowed and has changed since. It is not used until it is allowed again.
    changed: bool,
    /// Whether a call changes something; the visitor is then asked before each one. Where the tool is
    /// not allowed, this is only what the server says of it.
    effect: ToolEffect,
    /// Stands for the name, description and parameters together. Sent back with `allowed`, it makes
    /// sure that what is allowed is what was looked at.
    fingerprint: String,
}

/// A tool that cannot be used.
#[derive(Serialize, ToSchema)]
pub(crate) struct McpLeftOutView {
    /// Its name; empty where it has none that can be shown.
    name: String,
    /// `name` (none, or none that fits), `twice`, `parameters` (no JSON schema of an object), `task`
    /// (to be called as a task only), `too_large`, or `too_many`.
    reason: String,
}

impl From<Shown> for McpServerView {
    fn from(shown: Shown) -> Self {
        let stored = shown.stored;
        let (needs_url, url, headers) = match shown.place {
            Some(place) => (false, Some(place.url), place.headers),
            None => (true, None, Vec::new()),
        };
        let headers = headers
            .into_iter()
            .map(|(name, hint)| McpHeaderView { name, hint });
        let left_out = stored.left_out.into_iter().map(|tool| McpLeftOutView {
            name: tool.name,
            reason: tool.reason,
        });
        Self {
            id: stored.id,
            name: stored.settings.name,
            url,
            needs_url,
            headers: headers.collect(),
            enabled: stored.settings.enabled,
            protocol_version: stored.version,
            tools: shown.tools.into_iter().map(Into::into).collect(),
            left_out: left_out.collect(),
            listed_at: stored.listed_at,
            list_error: stored.list_error,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        }
    }
}

impl From<ShownTool> for McpToolView {
    fn from(tool: ShownTool) -> Self {
        Self {
            name: tool.offered.name,
            description: tool.offered.description,
            parameters: tool.offered.parameters,
            allowed: tool.allowed,
            changed: tool.changed,
            effect: tool.effect,
            fingerprint: tool.fingerprint,
        }
    }
}

/// A new MCP server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMcpServer {
    /// What it is called: 1 to 20 small letters, digits and underscores, beginning with a letter.
    /// Models know its tools as `name__tool`.
    name: String,
    /// Where it is, such as `https://mcp.example.com/mcp`.
    url: String,
    /// Headers that go along, such as `{"Authorization": "Bearer …"}`.
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    headers: Option<BTreeMap<String, SecretString>>,
    /// Whether its tools are used at all; true when left out.
    enabled: Option<bool>,
}

impl From<NewMcpServer> for Changes {
    fn from(new: NewMcpServer) -> Self {
        let headers = new.headers.map(|headers| {
            let headers = headers.into_iter();
            Some(headers.map(|(name, value)| (name, Some(value))).collect())
        });
        Self {
            name: Some(new.name),
            url: Some(new.url),
            headers,
            enabled: new.enabled,
            tools: None,
        }
    }
}

/// A change of an MCP server: what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpServerChanges {
    /// What it is called.
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    /// Where it is. With another scheme, host or port, every header must be sent again. With any
    /// other address, what was allowed is forgotten.
    #[serde(default, deserialize_with = "given")]
    url: Option<String>,
    /// Headers by name: one with a value is set, one with null is removed, others stay. Null removes
    /// all.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>, write_only)]
    headers: Option<Option<BTreeMap<String, Option<SecretString>>>>,
    /// Whether its tools are used at all.
    #[serde(default, deserialize_with = "given")]
    enabled: Option<bool>,
    /// Which of its tools the bot may use, at most 32; those that are not named stay as they are.
    #[serde(default, deserialize_with = "given")]
    tools: Option<Vec<McpToolChange>>,
}

/// What is to become of a tool of an MCP server.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpToolChange {
    /// What the server calls it.
    name: String,
    /// Whether the bot may use it.
    allowed: bool,
    /// Whether a call changes something. When left out, what was said of the same tool before holds;
    /// of one that was not allowed, or has changed, `write` does.
    effect: Option<ToolEffect>,
    /// The `fingerprint` of the tool that was looked at: it is refused with 409 when the tool has
    /// changed since.
    fingerprint: Option<String>,
}

impl From<McpServerChanges> for Changes {
    fn from(changes: McpServerChanges) -> Self {
        let tools = changes.tools.map(|tools| {
            let tools = tools.into_iter().map(|tool| ToolChange {
                name: tool.name,
                allowed: tool.allowed,
                effect: tool.effect,
                fingerprint: tool.fingerprint,
            });
            tools.collect()
        });
        Self {
            name: changes.name,
            url: changes.url,
            headers: changes.headers,
            enabled: changes.enabled,
            tools,
        }
    }
}

/// A call to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpTest {
    /// What the server calls the tool.
    pub(crate) tool: String,
    /// The arguments, as a model would give them.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) arguments: Map<String, Value>,
}

/// How a call went.
#[derive(Serialize, ToSchema)]
pub(crate) struct McpTestView {
    /// Whether the tool gave what a model can use.
    ok: bool,
    /// What a model would have been told.
    outcome: McpOutcomeView,
    /// How long it took, in milliseconds.
    took_ms: u64,
}

/// What came of a call.
#[derive(Serialize, ToSchema)]
pub(crate) struct McpOutcomeView {
    /// What the tool gave, or a sentence on why it gave nothing.
    content: String,
    /// A stable word where it failed: `invalid_arguments`, `tool_error`, `needs_input`, `refused`,
    /// `tool_changed`, `unauthorized`, `http_status`, `redirected`, `protocol`, `version_unknown`,
    /// `session_lost`, `timeout`, `unreachable`, `answer_broken`, `address_forbidden` or
    /// `not_encrypted`.
    error: Option<&'static str>,
}

impl From<Trial> for McpTestView {
    fn from(trial: Trial) -> Self {
        Self {
            ok: trial.outcome.error.is_none(),
            outcome: McpOutcomeView {
                content: trial.outcome.content,
                error: trial.outcome.error,
            },
            took_ms: u64::try_from(trial.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
