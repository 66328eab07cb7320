//! JSON schemas of arguments: examined when they are saved, and checked against before a call is sent.
//!
//! Of JSON Schema (2020-12) this knows what schemas of arguments use: types, `enum` and `const`,
//! bounds, `pattern`, properties by name and by pattern, items, `anyOf`, `oneOf`, `allOf`, `not`, and references within the
//! schema. What else a schema says is told to the model and not checked, `format` included, which
//! the standard makes a remark.
//!
//! It is written here because schemas come from people whom nobody has to trust, and so do the
//! values: there are bounds on depth, on steps and on references that lead in a circle, which
//! libraries answer with an exhausted stack. Nothing is ever fetched.

mod check;
mod examine;
mod pattern;

use serde_json::{Map, Value, json};
use stoa_domain::Violation;

use crate::secrets::Secrets;
use crate::{Outcome, reply};

/// The most bytes of a schema.
pub const MOST_BYTES: usize = 16 * 1024;
/// How deep a schema may be nested.
const DEEPEST: usize = 32;

/// A schema of arguments.
#[derive(Clone, Debug)]
pub struct Schema(Value);

impl Schema {
    /// Examines a schema that a person gave.
    ///
    /// # Errors
    /// What is wrong with it, each with its place in the schema.
    pub fn parse(value: Value) -> Result<Self, Vec<Violation>> {
        let (schema, violations) = examine::examine(value);
        match schema {
            Some(schema) if violations.is_empty() => Ok(schema),
            _ => Err(violations),
        }
    }

    /// A schema that another program gave, of which nobody here can mend anything: what is not
    /// understood in it is not checked.
    ///
    /// # Errors
    /// When it is no object, or too large or too deep to be used at all.
    pub fn of_others(value: Value) -> Result<Self, Vec<Violation>> {
        let (schema, violations) = examine::examine(value);
        schema.ok_or(violations)
    }

    /// Checks arguments.
    ///
    /// # Errors
    /// What does not fit, each with the field that it is about; the values are not repeated.
    pub fn check(&self, input: &Map<String, Value>) -> Result<(), Vec<Violation>> {
        check::check(self, input)
    }

    /// Whether arguments may be called `name`: it is described, or matches a pattern of names that are,
    /// or any name is allowed.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        let allows_more = match self.0.get("additionalProperties") {
            Some(Value::Bool(any)) => *any,
            Some(Value::Object(_)) => true,
            _ => false,
        };
        let patterns = self.0.get("patternProperties").and_then(Value::as_object);
        let mut matching = pattern::Patterns::default();
        let mut patterns = patterns.into_iter().flat_map(Map::keys);
        allows_more || self.property(name) || patterns.any(|it| matching.allow(it, name))
    }

    /// Whether `name` is described.
    #[must_use]
    pub fn property(&self, name: &str) -> bool {
        self.properties().any(|known| known == name)
    }

    /// The names that are described.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        let properties = self.0.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flat_map(|it| it.keys().map(String::as_str))
    }

    /// With these arguments required, besides those that are.
    #[must_use]
    pub fn requiring<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut required: Vec<Value> = match self.0.get("required") {
            Some(Value::Array(required)) => required.clone(),
            _ => Vec::new(),
        };
        for name in names {
            if !required.iter().any(|it| it == name) {
                required.push(json!(name));
            }
        }
        if !required.is_empty() {
            self.0["required"] = Value::Array(required);
        }
        self
    }

    /// The schema itself, as a model is told.
    #[must_use]
    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    /// What a reference within the schema leads to.
    fn referred(&self, reference: &str) -> Option<&Value> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_encoding::percent_decode_str(pointer);
        self.0.pointer(&pointer.decode_utf8().ok()?)
    }
}

/// A field's place: `order.lines.2`; empty at the root.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// What does not fit, for the model to try again.
#[must_use]
pub fn misfits(wrong: &[Violation]) -> Outcome {
    let lines: Vec<String> = wrong
        .iter()
        .map(|it| match it.field.as_str() {
            "" => format!("the arguments: {}", it.message),
            field => format!("{field}: {}", it.message),
        })
        .collect();
    let content = format!("The arguments do not fit. {}.", lines.join("; "));
    Outcome::failed(
        "invalid_arguments",
        reply::told(&content, &Secrets::default()),
    )
}
