//! Whether a schema is one.

use serde_json::{Map, Value, json};
use stoa_domain::Violation;

use super::{DEEPEST, MOST_BYTES, Schema, below, pattern};

/// The most complaints that are made about one schema.
const MOST_COMPLAINTS: usize = 20;

const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];
/// Keywords that lead out of the schema, or that change what references in it mean.
const LEADING_OUT: [&str; 5] = [
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveRef",
];
/// What a whole schema may be called, since no reference in it can name it.
const NAME: &str = "$id";
/// Keywords whose value is a schema.
const ONE_SCHEMA: [&str; 3] = ["additionalProperties", "items", "not"];
/// Keywords whose value is a list of schemas.
const SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value is schemas by name.
const NAMED_SCHEMAS: [&str; 4] = ["$defs", "definitions", "patternProperties", "properties"];
const COUNTS: [&str; 6] = [
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minProperties",
];
const NUMBERS: [&str; 4] = ["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"];

/// The schema, unless it cannot be used at all, and everything that is wrong with it.
pub(super) fn examine(value: Value) -> (Option<Schema>, Vec<Violation>) {
    let refused = |message: &str| (None, vec![wrong("", message)]);
    let Value::Object(mut root) = value else {
        return refused(
            "a JSON schema of an object, such as {\"type\": \"object\", \"properties\": {}}",
        );
    };
    if Value::Object(root.clone()).to_string().len() > MOST_BYTES {
        return refused("a JSON schema of at most 16 KiB");
    }
    let mut examiner = Examiner::default();
    if root.get("type").is_some_and(|kind| kind != "object") {
        return refused("arguments are an object: its type is \"object\"");
    }
    root.insert("type".into(), json!("object"));
    root.entry("properties").or_insert_with(|| json!({}));
    let value = Value::Object(root);
    if depth(&value) > DEEPEST {
        return refused("a JSON schema that is nested at most 32 deep");
    }
    examiner.schema(&value, "");
    let schema = Schema(value);
    let mut violations = examiner.violations;
    for (path, reference) in examiner.references {
        let leads = schema.referred(&reference);
        if !leads.is_some_and(|it| it.is_object() || it.is_boolean()) {
            violations.push(wrong(
                &path,
                "a reference leads to a part of this very schema, such as \"#/$defs/address\"",
            ));
        }
    }
    violations.truncate(MOST_COMPLAINTS);
    (Some(schema), violations)
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

#[derive(Default)]
struct Examiner {
    patterns: usize,
    references: Vec<(String, String)>,
    violations: Vec<Violation>,
}

impl Examiner {
    fn schema(&mut self, schema: &Value, path: &str) {
        let Value::Object(keywords) = schema else {
            return self.require(
                schema.is_boolean(),
                path,
                "a schema is an object or a boolean",
            );
        };
        for name in LEADING_OUT {
            self.require(
                !keywords.contains_key(name) || path.is_empty() && name == NAME,
                &below(path, name),
                "not known here: describe the arguments in this one schema",
            );
        }
        self.scalars(keywords, path);
        for name in ONE_SCHEMA {
            if let Some(inner) = keywords.get(name) {
                self.schema(inner, &below(path, name));
            }
        }
        for name in SCHEMAS {
            let path = below(path, name);
            match keywords.get(name) {
                None => {}
                Some(Value::Array(list)) if !list.is_empty() => {
                    for (at, inner) in list.iter().enumerate() {
                        self.schema(inner, &below(&path, &at.to_string()));
                    }
                }
                Some(_) => self.complain(&path, "a list of schemas"),
            }
        }
        for pattern in keywords
            .get("patternProperties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
        {
            self.pattern(pattern, &below(path, "patternProperties"));
        }
        for name in NAMED_SCHEMAS {
            let path = below(path, name);
            match keywords.get(name) {
                None => {}
                Some(Value::Object(named)) => {
                    for (name, inner) in named {
                        let fits =
                            (1..=100).contains(&name.len()) && !name.chars().any(char::is_control);
                        self.require(fits, &path, "names of 1 to 100 characters");
                        self.schema(inner, &below(&path, name));
                    }
                }
                Some(_) => self.complain(&path, "schemas by name"),
            }
        }
    }

    fn scalars(&mut self, keywords: &Map<String, Value>, path: &str) {
        let is_type = |it: &Value| it.as_str().is_some_and(|it| TYPES.contains(&it));
        let is_list_of = |value: &Value, fits: &dyn Fn(&Value) -> bool| {
            value.as_array().is_some_and(|it| it.iter().all(fits))
        };
        for (name, value) in keywords {
            let path = below(path, name);
            match name.as_str() {
                "type" => self.require(
                    is_type(value) || is_list_of(value, &is_type),
                    &path,
                    "one of array, boolean, integer, null, number, object and string, or a list of them",
                ),
                "required" => self.require(
                    is_list_of(value, &Value::is_string),
                    &path,
                    "a list of names",
                ),
                "enum" => self.require(
                    value.as_array().is_some_and(|it| !it.is_empty()),
                    &path,
                    "a list of values",
                ),
                "pattern" => match value.as_str() {
                    Some(pattern) => self.pattern(pattern, &path),
                    None => self.complain(&path, "a text"),
                },
                "multipleOf" => self.require(
                    value.as_f64().is_some_and(|it| it > 0.0),
                    &path,
                    "a number above 0",
                ),
                "$ref" => match value.as_str() {
                    Some(reference) => self.references.push((path, reference.to_owned())),
                    None => self.complain(&path, "a text"),
                },
                name if COUNTS.contains(&name) => {
                    self.require(value.is_u64(), &path, "a whole number, 0 or more");
                }
                name if NUMBERS.contains(&name) => {
                    self.require(value.is_number(), &path, "a number");
                }
                _ => {}
            }
        }
    }

    fn pattern(&mut self, pattern: &str, path: &str) {
        self.patterns += 1;
        self.require(
            self.patterns <= pattern::MOST,
            path,
            &format!("at most {} patterns", pattern::MOST),
        );
        self.require(
            self.patterns > pattern::MOST || pattern::compile(pattern).is_some(),
            path,
            "a regular expression that is not too large, without looking around and without referring back",
        );
    }

    fn require(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.complain(path, message);
        }
    }

    fn complain(&mut self, path: &str, message: &str) {
        self.violations.push(wrong(path, message));
    }
}

fn wrong(path: &str, message: &str) -> Violation {
    Violation {
        field: path.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(schema: Value) -> Vec<String> {
        let violations = Schema::parse(schema).err().unwrap_or_default();
        violations.into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn a_schema_describes_an_object() {
        for wrong in [
            json!(null),
            json!("object"),
            json!([]),
            json!({ "type": "string" }),
            json!({ "type": ["object"] }),
        ] {
            assert_eq!(complaints(wrong.clone()), [""], "{wrong}");
            assert!(Schema::of_others(wrong).is_err());
        }
        let least = Schema::parse(json!({})).unwrap();
        assert_eq!(
            least.as_value(),
            &json!({ "type": "object", "properties": {} })
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let schema = json!({
            "$id": "https://example.com/schema",
            "patternProperties": { "(": {} },
            "properties": {
                "a": { "type": "text", "$id": "https://example.com/a", "multipleOf": 0 },
                "b": { "minLength": -1, "pattern": "(" },
                "c": { "$ref": "https://example.com/remote.json" },
                "d": { "anyOf": [], "minimum": "1" },
                "e": { "items": { "type": ["string", "void"] } },
                "f": { "$ref": "#/$defs/nothing" },
                "g": 7,
                "h": { "pattern": "^(?=look)around" },
            },
            "required": [1],
        });
        let mut found = complaints(schema.clone());
        found.sort();
        let expected = [
            "patternProperties",
            "properties.a.$id",
            "properties.a.multipleOf",
            "properties.a.type",
            "properties.b.minLength",
            "properties.b.pattern",
            "properties.c.$ref",
            "properties.d.anyOf",
            "properties.d.minimum",
            "properties.e.items.type",
            "properties.f.$ref",
            "properties.g",
            "properties.h.pattern",
            "required",
        ];
        assert_eq!(found, expected);
        assert!(Schema::of_others(schema).is_ok());
    }

    #[test]
    fn a_schema_is_bounded() {
        assert_eq!(
            complaints(json!({ "description": "a".repeat(MOST_BYTES) })),
            [""]
        );
        let mut deep = json!({ "type": "string" });
        for _ in 0..40 {
            deep = json!({ "items": deep });
        }
        let deep = json!({ "properties": { "a": deep } });
        assert_eq!(complaints(deep.clone()), [""]);
        assert!(Schema::of_others(deep).is_err());
        let huge = json!({ "properties": { "a": { "pattern": "((a{100}){100}){100}" } } });
        assert_eq!(complaints(huge), ["properties.a.pattern"]);
    }
}
