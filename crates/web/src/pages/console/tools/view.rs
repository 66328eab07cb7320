//! Tools as the console shows them.

use serde_json::{Map, Value};
use stoa_app::tools::{Shown, Trial};
use stoa_domain::ToolEffect;

use super::form::pretty;

/// A tool in the list.
pub(super) struct ToolRow {
    pub(super) name: String,
    pub(super) href: String,
    /// The method and the host.
    pub(super) call: String,
    pub(super) effect: &'static str,
    pub(super) state: &'static str,
    pub(super) state_label: &'static str,
}

impl ToolRow {
    pub(super) fn of(shown: &Shown, tools: &str) -> Self {
        let settings = &shown.stored.settings;
        let (state, state_label) = match (&shown.place, settings.enabled) {
            (None, _) => ("failed", "Needs its address again"),
            (Some(_), true) => ("ready", "On"),
            (Some(_), false) => ("off", "Off"),
        };
        let host = shown.place.as_ref().map(|place| host(&place.url));
        Self {
            name: settings.name.clone(),
            href: format!("{tools}/{}", shown.stored.id),
            call: format!("{} {}", settings.method, host.unwrap_or_default()),
            effect: effect_label(settings.effect),
            state,
            state_label,
        }
    }
}

/// How a call went.
pub(super) struct TrialView {
    pub(super) ok: bool,
    pub(super) sentence: String,
    /// The method, the host and the path; empty when nothing was sent.
    pub(super) request: String,
    pub(super) content: String,
}

impl From<Trial> for TrialView {
    fn from(trial: Trial) -> Self {
        let took = trial.took.as_millis();
        let sentence = match (trial.outcome.error, &trial.sent_to) {
            (None, _) => format!("It answered in {took} ms. A model would be told this:"),
            (Some(code), Some(_)) => {
                format!("It failed after {took} ms ({code}). A model would be told this:")
            }
            (Some(code), None) => {
                format!("Nothing was sent ({code}). A model would be told this:")
            }
        };
        let request = trial.sent_to.map(|sent| {
            let (method, host, path) = (sent.method, sent.host, sent.path);
            format!("{method} {host}{path}")
        });
        Self {
            ok: trial.outcome.error.is_none(),
            sentence,
            request: request.unwrap_or_default(),
            content: trial.outcome.content,
        }
    }
}

pub(in super::super) const fn effect_label(effect: ToolEffect) -> &'static str {
    match effect {
        ToolEffect::Read => "Reads",
        ToolEffect::Write => "Changes something",
    }
}

/// Arguments to begin a trial with: each that the schema describes, with something of its type.
pub(super) fn example(parameters: &Value) -> String {
    let properties = parameters.get("properties").and_then(Value::as_object);
    let arguments = properties.into_iter().flatten().map(|(name, described)| {
        let of_type = described.get("type").and_then(Value::as_str);
        let value = match of_type.unwrap_or_default() {
            "integer" | "number" => Value::from(0),
            "boolean" => Value::from(false),
            "array" => Value::Array(Vec::new()),
            "object" => Value::Object(Map::new()),
            _ => Value::from(""),
        };
        (name.clone(), value)
    });
    pretty(&Value::Object(arguments.collect()))
}

/// The host of an address that may have placeholders behind it.
pub(in super::super) fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trial_begins_with_each_argument() {
        let parameters = json!({"properties": {"id": {"type": "string"}, "full": {"type": "boolean"},
            "count": {"type": "integer"}, "any": true}});
        let begun: Value = serde_json::from_str(&example(&parameters)).unwrap();
        assert_eq!(
            begun,
            json!({"id": "", "full": false, "count": 0, "any": ""})
        );
        assert_eq!(example(&json!({})), "{}");
    }

    #[test]
    fn the_host_is_found_before_placeholders() {
        assert_eq!(
            host("https://api.example.com:8443/a/{b}?c={d}"),
            "api.example.com:8443"
        );
        assert_eq!(host("https://api.example.com?c={d}"), "api.example.com");
    }
}
