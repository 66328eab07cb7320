//! The form of a tool: what is shown in it, and what is read from it.

use serde_json::{Map, Value, json};
use stoa_app::tools::{Changes, Shown};
use stoa_domain::violation::Violations;
use stoa_domain::{ToolEffect, ToolMethod};

use super::super::super::error::PageError;
use super::super::super::form::Fields;
use super::super::header_rows::{HeaderChanges, HeaderRows};
use super::super::refusal::Labels;
use crate::http::problem::Problem;

/// The form's fields.
pub(super) const LABELS: Labels = &[
    ("name", "Name"),
    ("description", "What it is for"),
    ("method", "Method"),
    ("url", "Address"),
    ("headers", "Headers"),
    ("parameters", "Arguments"),
    ("effect", "What a call does"),
    ("timeout_ms", "Time-out"),
];

/// A tool as the form shows it.
pub(super) struct ToolForm {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) parameters: String,
    pub(super) effect: String,
    pub(super) timeout_ms: String,
    pub(super) enabled: bool,
    pub(super) headers: HeaderRows,
}

impl ToolForm {
    /// A new tool's.
    pub(super) fn blank() -> Self {
        let parameters = json!({"type": "object", "properties": {}, "required": []});
        Self {
            name: String::new(),
            description: String::new(),
            method: ToolMethod::Get.as_str().to_owned(),
            url: String::new(),
            parameters: pretty(&parameters),
            effect: ToolEffect::Read.as_str().to_owned(),
            timeout_ms: "10000".to_owned(),
            enabled: true,
            headers: HeaderRows::of(&[]),
        }
    }

    /// A stored tool's.
    pub(super) fn of(shown: &Shown) -> Self {
        let settings = &shown.stored.settings;
        let place = shown.place.as_ref();
        Self {
            name: settings.name.clone(),
            description: settings.description.clone(),
            method: settings.method.as_str().to_owned(),
            url: place.map(|place| place.url.clone()).unwrap_or_default(),
            parameters: pretty(&settings.parameters),
            effect: settings.effect.as_str().to_owned(),
            timeout_ms: settings.timeout_ms.to_string(),
            enabled: settings.enabled,
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
            description: fields.take("description").replace("\r\n", "\n"),
            method: fields.take("method"),
            url: fields.take("url"),
            parameters: fields.take("parameters"),
            effect: fields.take("effect"),
            timeout_ms: fields.take("timeout_ms"),
            enabled: fields.ticked("enabled"),
            headers: rows,
        };
        fields.end()?;
        let changes = form.changes(headers, wrong);
        Ok((form, changes))
    }

    fn changes(&self, headers: HeaderChanges, mut wrong: Violations) -> Result<Changes, Problem> {
        let method = self.method.parse::<ToolMethod>().ok();
        wrong.require(method.is_some(), "method", "one of those in the list");
        let effect = self.effect.parse::<ToolEffect>().ok();
        wrong.require(effect.is_some(), "effect", "one of the two");
        let timeout_ms = self.timeout_ms.trim().parse::<i32>().ok();
        let whole = "a whole number of milliseconds, 1,000 to 20,000";
        wrong.require(timeout_ms.is_some(), "timeout_ms", whole);
        let parameters = json_object(&self.parameters);
        let sentence = parameters.as_ref().err().cloned().unwrap_or_default();
        wrong.require(parameters.is_ok(), "parameters", &sentence);
        wrong.into_result().map_err(Problem::invalid)?;
        Ok(Changes {
            name: Some(self.name.trim().to_owned()),
            description: Some(self.description.clone()),
            parameters: parameters.ok().map(Value::Object),
            method,
            url: Some(self.url.clone()),
            headers: (!headers.is_empty()).then_some(Some(headers)),
            effect: Some(effect),
            timeout_ms,
            enabled: Some(self.enabled),
        })
    }
}

/// A JSON object that somebody typed.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        // PostgreSQL cannot store it.
        Ok(_) if text.contains("\\u0000") => Err("it has a NUL character (\\u0000)".to_owned()),
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("a JSON object, in braces".to_owned()),
        Err(error) => Err(format!("this is no JSON: {error}")),
    }
}

pub(in super::super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
