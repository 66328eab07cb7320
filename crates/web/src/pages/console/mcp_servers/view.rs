//! MCP servers as the console shows them.

use stoa_app::mcp_servers::{Shown, ShownTool};
use stoa_domain::ToolEffect;

use super::super::tools::{effect_label, host, pretty};

/// A server in the list.
pub(in super::super) struct ServerRow {
    pub(in super::super) name: String,
    pub(in super::super) href: String,
    pub(in super::super) host: String,
    /// How many of its tools are allowed.
    pub(in super::super) allowed: String,
    pub(in super::super) state: &'static str,
    pub(in super::super) state_label: &'static str,
}

impl ServerRow {
    pub(in super::super) fn of(shown: &Shown, servers: &str) -> Self {
        let allowed = shown.tools.iter().filter(|it| it.allowed).count();
        let (state, state_label) = state(shown);
        let place = shown.place.as_ref();
        Self {
            name: shown.stored.settings.name.clone(),
            href: format!("{servers}/{}", shown.stored.id),
            host: place.map(|place| host(&place.url)).unwrap_or_default(),
            allowed: format!("{allowed} of {}", shown.tools.len()),
            state,
            state_label,
        }
    }
}

/// A tool that a server offers.
pub(super) struct OfferedRow {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) parameters: String,
    /// `no`, `read` or `write`.
    pub(super) wanted: &'static str,
    pub(super) changed: bool,
    /// What the server says of its calls.
    pub(super) claim: &'static str,
    pub(super) fingerprint: String,
}

impl OfferedRow {
    pub(super) fn of(tool: &ShownTool) -> Self {
        let claim = if tool.offered.read_only {
            ToolEffect::Read
        } else {
            ToolEffect::Write
        };
        Self {
            name: tool.offered.name.clone(),
            description: tool.offered.description.clone(),
            parameters: pretty(&tool.offered.parameters),
            wanted: if tool.allowed {
                tool.effect.as_str()
            } else {
                "no"
            },
            changed: tool.changed,
            claim: effect_label(claim),
            fingerprint: tool.fingerprint.clone(),
        }
    }
}

/// A tool that cannot be used, and why.
pub(super) fn left_out(shown: &Shown) -> Vec<(String, &'static str)> {
    let tools = shown.stored.left_out.iter();
    tools
        .map(|tool| {
            let why = match tool.reason.as_str() {
                "name" => "It has no name that fits.",
                "twice" => "Another one has its name.",
                "parameters" => "Its arguments are no JSON schema of an object.",
                "task" => "It can be called as a task only.",
                "too_large" => "It says too much.",
                "too_many" => "There are too many.",
                _ => "It cannot be used.",
            };
            (tool.name.clone(), why)
        })
        .collect()
}

/// How a server stands.
pub(super) fn state(shown: &Shown) -> (&'static str, &'static str) {
    let stored = &shown.stored;
    match (&shown.place, stored.settings.enabled, &stored.list_error) {
        (None, ..) => ("failed", "Needs its address again"),
        (_, false, _) => ("off", "Off"),
        (_, _, Some(_)) => ("failed", "Did not answer"),
        _ if stored.listed_at.is_none() => ("off", "Not asked yet"),
        _ if shown.tools.iter().any(|it| it.changed) => ("warning", "A tool has changed"),
        _ => ("ready", "On"),
    }
}
