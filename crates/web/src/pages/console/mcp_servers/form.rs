//! The forms of an MCP server: what it is, and which of its tools are allowed.

use stoa_app::mcp_servers::{Changes, Shown, ToolChange};
use stoa_domain::ToolEffect;
use stoa_domain::violation::Violations;

use super::super::super::error::PageError;
use super::super::super::form::Fields;
use super::super::header_rows::HeaderRows;
use super::super::refusal::Labels;
use crate::http::problem::Problem;

/// The forms' fields.
pub(super) const LABELS: Labels = &[
    ("name", "Name"),
    ("url", "Address"),
    ("headers", "Headers"),
    ("tools", "What it offers"),
];

/// A server as its form shows it.
pub(super) struct ServerForm {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) enabled: bool,
    pub(super) headers: HeaderRows,
}

impl ServerForm {
    /// A new server's.
    pub(super) fn blank() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            enabled: true,
            headers: HeaderRows::of(&[]),
        }
    }

    /// A stored server's.
    pub(super) fn of(shown: &Shown) -> Self {
        let place = shown.place.as_ref();
        Self {
            name: shown.stored.settings.name.clone(),
            url: place.map(|place| place.url.clone()).unwrap_or_default(),
            enabled: shown.stored.settings.enabled,
            headers: HeaderRows::of(place.map_or(&[][..], |place| &place.headers)),
        }
    }

    /// Reads a form that was sent: how to show it again, and what it asks for.
    ///
    /// # Errors
    /// When it is no form of ours. What somebody typed wrongly is in the second half.
    pub(super) fn read(mut fields: Fields) -> Result<(Self, Result<Changes, Problem>), PageError> {
        let mut wrong = Violations::default();
        let (rows, headers) = HeaderRows::read(&mut fields, &mut wrong);
        let form = Self {
            name: fields.take("name"),
            url: fields.take("url"),
            enabled: fields.ticked("enabled"),
            headers: rows,
        };
        fields.end()?;
        let changes = wrong.into_result().map(|()| Changes {
            name: Some(form.name.trim().to_owned()),
            url: Some(form.url.clone()),
            headers: (!headers.is_empty()).then_some(Some(headers)),
            enabled: Some(form.enabled),
            tools: None,
        });
        Ok((form, changes.map_err(Problem::invalid)))
    }
}

/// Reads which tools are allowed: what is to be different from how it is shown.
///
/// # Errors
/// When it is no form of ours.
pub(super) fn read_allowed(
    mut fields: Fields,
    shown: &Shown,
) -> Result<Vec<ToolChange>, PageError> {
    let seen = fields.beginning("seen:");
    let mut changes = Vec::new();
    for (name, wanted) in fields.beginning("tool:") {
        let effect = wanted.parse::<ToolEffect>().ok();
        let known = shown.tools.iter().find(|it| it.offered.name == name);
        let before = known.filter(|it| it.allowed).map(|it| it.effect);
        let forgotten = known.is_some_and(|it| it.changed) && effect.is_none();
        if effect == before && !forgotten {
            continue;
        }
        changes.push(ToolChange {
            fingerprint: seen.get(&name).cloned(),
            allowed: effect.is_some(),
            name,
            effect,
        });
    }
    fields.end()?;
    Ok(changes)
}
