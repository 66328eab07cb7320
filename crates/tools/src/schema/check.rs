//! Whether arguments fit a schema.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};
use stoa_domain::Violation;

use super::pattern::Patterns;
use super::{Schema, below};

/// How many schemas are looked at for one set of arguments. References and alternatives multiply.
const MOST_STEPS: u32 = 20_000;
/// How deep values and references may lead.
const DEEPEST: u32 = 64;
/// The most complaints that a model is told at once.
const MOST_COMPLAINTS: usize = 5;
/// The most values of an `enum` that are named.
const MOST_NAMED: usize = 20;

/// What does not fit.
pub(super) fn check(schema: &Schema, input: &Map<String, Value>) -> Result<(), Vec<Violation>> {
    let mut check = Check {
        schema,
        patterns: Patterns::default(),
        steps: 0,
        violations: Vec::new(),
    };
    let value = Value::Object(input.clone());
    check.value(schema.as_value(), &value, "", 0);
    if check.steps > MOST_STEPS {
        check.violations = Vec::new();
        check.complain("", "too intricate to be checked; send less at once");
    }
    let mut violations = check.violations;
    violations.truncate(MOST_COMPLAINTS);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations)
    }
}

struct Check<'a> {
    schema: &'a Schema,
    patterns: Patterns,
    steps: u32,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, path: &str, depth: u32) {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return;
        }
        if depth > DEEPEST {
            return self.complain(path, "is nested too deep");
        }
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(false) => return self.complain(path, "is not expected"),
            _ => return,
        };
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str)
            && let Some(referred) = self.schema.referred(reference)
        {
            self.value(referred, value, path, depth + 1);
        }
        if let Some(kind) = keywords.get("type")
            && !is_of(kind, value)
        {
            return self.complain(
                path,
                &format!("must be {}, not {}", words(kind), name(value)),
            );
        }
        self.fixed(keywords, value, path);
        match value {
            Value::String(text) => self.text(keywords, text, path),
            Value::Number(number) => self.number(keywords, number, path),
            Value::Array(items) => self.items(keywords, items, path, depth),
            Value::Object(members) => self.members(keywords, members, path, depth),
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(keywords, value, path, depth);
    }

    fn fixed(&mut self, keywords: &Map<String, Value>, value: &Value, path: &str) {
        if let Some(Value::Array(allowed)) = keywords.get("enum")
            && !allowed.iter().any(|it| same(it, value))
        {
            let named: Vec<String> = allowed
                .iter()
                .take(MOST_NAMED)
                .map(Value::to_string)
                .collect();
            self.complain(path, &format!("must be one of {}", named.join(", ")));
        }
        if let Some(only) = keywords.get("const")
            && !same(only, value)
        {
            self.complain(path, &format!("must be {only}"));
        }
    }

    fn text(&mut self, keywords: &Map<String, Value>, text: &str, path: &str) {
        let length = text.chars().count() as u64;
        self.counted(
            keywords,
            "minLength",
            "maxLength",
            length,
            "characters",
            path,
        );
        if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str)
            && !self.patterns.allow(pattern, text)
        {
            self.complain(path, &format!("must match {pattern}"));
        }
    }

    fn number(&mut self, keywords: &Map<String, Value>, number: &Number, path: &str) {
        let value = number.as_f64().unwrap_or(f64::NAN);
        let bounds = [
            ("minimum", "at least", [Ordering::Greater, Ordering::Equal]),
            ("maximum", "at most", [Ordering::Less, Ordering::Equal]),
            ("exclusiveMinimum", "more than", [Ordering::Greater; 2]),
            ("exclusiveMaximum", "less than", [Ordering::Less; 2]),
        ];
        for (keyword, how, allowed) in bounds {
            let Some(bound) = keywords.get(keyword).and_then(Value::as_f64) else {
                continue;
            };
            let is_within = value
                .partial_cmp(&bound)
                .is_some_and(|it| allowed.contains(&it));
            if !is_within {
                self.complain(path, &format!("must be {how} {bound}"));
            }
        }
    }

    fn items(&mut self, keywords: &Map<String, Value>, items: &[Value], path: &str, depth: u32) {
        let count = items.len() as u64;
        self.counted(keywords, "minItems", "maxItems", count, "items", path);
        let first = match keywords.get("prefixItems") {
            Some(Value::Array(first)) => first.as_slice(),
            _ => &[],
        };
        for (at, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(at).or_else(|| keywords.get("items")) {
                self.value(schema, item, &below(path, &at.to_string()), depth + 1);
            }
        }
        let is_unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        // Quadratic, and therefore only where it is cheap.
        let repeats = |(at, item): (usize, &Value)| items[..at].iter().any(|it| same(it, item));
        if is_unique && items.len() <= 100 && items.iter().enumerate().any(repeats) {
            self.complain(path, "must not hold the same item twice");
        }
    }

    fn members(
        &mut self,
        keywords: &Map<String, Value>,
        members: &Map<String, Value>,
        path: &str,
        depth: u32,
    ) {
        let count = members.len() as u64;
        self.counted(
            keywords,
            "minProperties",
            "maxProperties",
            count,
            "fields",
            path,
        );
        let required = keywords.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.complain(&below(path, name), "is missing");
            }
        }
        let properties = keywords.get("properties").and_then(Value::as_object);
        // Which names patterns stand for is not known here.
        let others = match keywords.contains_key("patternProperties") {
            true => None,
            false => keywords.get("additionalProperties"),
        };
        for (name, value) in members {
            let described = properties.and_then(|it| it.get(name));
            if let Some(schema) = described.or(others) {
                self.value(schema, value, &below(path, name), depth + 1);
            }
        }
    }

    fn combined(&mut self, keywords: &Map<String, Value>, value: &Value, path: &str, depth: u32) {
        let list = |name: &str| keywords.get(name).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.value(schema, value, path, depth + 1);
        }
        if let Some(schemas) = list("anyOf")
            && !schemas.iter().any(|it| self.fits(it, value, depth))
        {
            self.complain(path, "fits none of the forms that are allowed");
        }
        if let Some(schemas) = list("oneOf") {
            let fitting = schemas.iter().filter(|it| self.fits(it, value, depth));
            if fitting.count() != 1 {
                self.complain(path, "must fit exactly one of the forms that are allowed");
            }
        }
        if let Some(schema) = keywords.get("not")
            && self.fits(schema, value, depth)
        {
            self.complain(path, "has a form that is not allowed");
        }
    }

    fn fits(&mut self, schema: &Value, value: &Value, depth: u32) -> bool {
        let before = self.violations.len();
        self.value(schema, value, "", depth + 1);
        let fits = self.violations.len() == before;
        self.violations.truncate(before);
        fits
    }

    fn counted(
        &mut self,
        keywords: &Map<String, Value>,
        least: &str,
        most: &str,
        count: u64,
        of: &str,
        path: &str,
    ) {
        let bound = |name: &str| keywords.get(name).and_then(Value::as_u64);
        if let Some(least) = bound(least)
            && count < least
        {
            self.complain(path, &format!("must have at least {least} {of}"));
        }
        if let Some(most) = bound(most)
            && count > most
        {
            self.complain(path, &format!("must have at most {most} {of}"));
        }
    }

    fn complain(&mut self, path: &str, message: &str) {
        self.violations.push(Violation {
            field: path.to_owned(),
            message: message.to_owned(),
        });
    }
}

/// Whether a value is of a type, or of one of several.
fn is_of(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "number" => value.is_number(),
            "integer" => value
                .as_number()
                .is_some_and(|it| it.as_f64().is_some_and(|it| it.fract() == 0.0)),
            kind => kind == name(value),
        },
        _ => true,
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn words(kind: &Value) -> String {
    match kind {
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        kind => kind.as_str().unwrap_or_default().to_owned(),
    }
}

/// Equal, as JSON Schema counts it: `1` is `1.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64().is_some_and(|it| Some(it) == other.as_f64())
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
