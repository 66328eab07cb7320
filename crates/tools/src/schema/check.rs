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
    check.value(schema.as_value(), &value, "", Reach::PART);
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

/// How a schema was reached.
#[derive(Clone, Copy)]
struct Reach {
    /// How deep values and references led.
    depth: u32,
    /// Whether it alone describes its value, so that a field which it does not describe is described
    /// nowhere.
    is_whole: bool,
}

impl Reach {
    /// One of several descriptions of the same value; at the root callers look at what is described.
    const PART: Self = Self {
        depth: 0,
        is_whole: false,
    };

    /// A value within the value.
    const fn inside(self) -> Self {
        Self {
            depth: self.depth + 1,
            is_whole: true,
        }
    }

    /// The same value, by a schema to which this one leads.
    fn led_on(self, keywords: &Map<String, Value>) -> Self {
        Self {
            depth: self.depth + 1,
            is_whole: self.is_whole && !keywords.contains_key("properties"),
        }
    }

    /// The same value, by one schema of several.
    const fn part(self) -> Self {
        Self {
            depth: self.depth + 1,
            is_whole: false,
        }
    }
}

/// Keywords beside which other schemas may describe fields of the same value.
const DESCRIBED_ELSEWHERE: [&str; 9] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "dependentSchemas",
    "if",
    "oneOf",
    "propertyNames",
    "unevaluatedProperties",
];

struct Check<'a> {
    schema: &'a Schema,
    patterns: Patterns,
    steps: u32,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, path: &str, reach: Reach) {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return;
        }
        if reach.depth > DEEPEST {
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
            self.value(referred, value, path, reach.led_on(keywords));
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
            Value::Array(items) => self.items(keywords, items, path, reach),
            Value::Object(members) => self.members(keywords, members, path, reach),
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(keywords, value, path, reach);
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
        if let Some(step) = keywords.get("multipleOf").and_then(Value::as_f64)
            && !is_multiple(value, step)
        {
            self.complain(path, &format!("must be a multiple of {step}"));
        }
    }

    fn items(&mut self, keywords: &Map<String, Value>, items: &[Value], path: &str, reach: Reach) {
        let count = items.len() as u64;
        self.counted(keywords, "minItems", "maxItems", count, "items", path);
        let first = match keywords.get("prefixItems") {
            Some(Value::Array(first)) => first.as_slice(),
            _ => &[],
        };
        for (at, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(at).or_else(|| keywords.get("items")) {
                self.value(schema, item, &below(path, &at.to_string()), reach.inside());
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
        reach: Reach,
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
        let list = keywords.get("required").and_then(Value::as_array);
        let list = || list.into_iter().flatten().filter_map(Value::as_str);
        let required = |name: &str| list().any(|it| it == name);
        for name in list() {
            if !members.contains_key(name) {
                self.complain(&below(path, name), "is missing");
            }
        }
        let named = |name: &str| keywords.get(name).and_then(Value::as_object);
        let (properties, patterns) = (named("properties"), named("patternProperties"));
        let others = keywords.get("additionalProperties");
        let is_all = reach.is_whole
            && properties.is_some_and(|it| !it.is_empty())
            && !DESCRIBED_ELSEWHERE
                .iter()
                .any(|it| keywords.contains_key(*it));
        for (name, value) in members {
            let path = below(path, name);
            let described = properties.and_then(|it| it.get(name));
            let mut schemas: Vec<_> = described.into_iter().collect();
            let mut may_be_described = required(name);
            for (pattern, schema) in patterns.into_iter().flatten() {
                match self.patterns.judge(pattern, name) {
                    Some(true) => schemas.push(schema),
                    Some(false) => {}
                    None => may_be_described = true,
                }
            }
            if schemas.is_empty() && !may_be_described {
                if is_all {
                    self.complain(&path, "is not described");
                }
                schemas.extend(others);
            }
            for schema in schemas {
                self.value(schema, value, &path, reach.inside());
            }
        }
    }

    fn combined(&mut self, keywords: &Map<String, Value>, value: &Value, path: &str, reach: Reach) {
        let list = |name: &str| keywords.get(name).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.value(schema, value, path, reach.part());
        }
        let on = reach.led_on(keywords);
        if let Some(schemas) = list("anyOf")
            && !schemas.iter().any(|it| self.fits(it, value, on))
        {
            self.complain(path, "fits none of the forms that are allowed");
        }
        if let Some(schemas) = list("oneOf") {
            let fitting = schemas.iter().filter(|it| self.fits(it, value, on));
            if fitting.count() != 1 {
                self.complain(path, "must fit exactly one of the forms that are allowed");
            }
        }
        if let Some(schema) = keywords.get("not")
            && self.fits(schema, value, reach.part())
        {
            self.complain(path, "has a form that is not allowed");
        }
    }

    fn fits(&mut self, schema: &Value, value: &Value, reach: Reach) -> bool {
        let before = self.violations.len();
        self.value(schema, value, "", reach);
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

/// Whether a number is a multiple of a step, but for what a number of few digits loses in binary: 19.99
/// is one of 0.01.
fn is_multiple(value: f64, step: f64) -> bool {
    let times = value / step;
    !times.is_finite() || (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
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
