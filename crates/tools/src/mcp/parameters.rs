//! The JSON schema of a tool's arguments, and which of them go along as headers.
//!
//! Since 2026-07-28 a schema may mark a parameter by `x-mcp-header`: what is given for it is repeated
//! in the header `Mcp-Param-…`, for what stands before the server. A tool whose marks are not right
//! is not to be used.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

const MARK: &str = "x-mcp-header";
const PREFIX: &str = "mcp-param-";
/// The largest whole number that every JSON reader reads alike.
const LARGEST_INTEGER: i64 = (1 << 53) - 1;
/// The longest value that is repeated in a header.
const LONGEST_VALUE: usize = 4 * 1024;

/// A parameter that goes along as a header: where it is, and the header's name.
struct Marked<'a> {
    path: Vec<&'a str>,
    header: HeaderName,
}

/// Whether a schema can be stored, which NUL cannot, and is marked rightly.
pub(super) fn are_fit(schema: &Value) -> bool {
    !has_nul(schema) && marked(schema).is_some()
}

/// The headers that go along with these arguments; `None` where one cannot be written.
pub(super) fn headers(schema: &Value, arguments: &Map<String, Value>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for Marked { path, header } in marked(schema)? {
        let (first, rest) = path.split_first()?;
        let given = arguments
            .get(*first)
            .and_then(|it| rest.iter().try_fold(it, |it, name| it.get(*name)));
        let text = match given {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(it)) => it.to_string(),
            Some(Value::Number(it)) => {
                let whole = it.as_i64()?;
                (whole.abs() <= LARGEST_INTEGER).then(|| whole.to_string())?
            }
            Some(_) => return None,
        };
        headers.insert(header, value(&text)?);
    }
    Some(headers)
}

/// A text as the value of a header: as it is, or marked and in base64 where it could be taken for
/// something else. `None` where it is too long.
pub(super) fn value(text: &str) -> Option<HeaderValue> {
    let is_plain = text.bytes().all(|it| it == b' ' || it.is_ascii_graphic())
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let written = match is_plain {
        true => text.to_owned(),
        false => format!("=?base64?{}?=", STANDARD.encode(text)),
    };
    let fits = written.len() <= LONGEST_VALUE;
    fits.then(|| HeaderValue::try_from(written).ok())?
}

/// The marked parameters; `None` where a mark is not right.
fn marked(schema: &Value) -> Option<Vec<Marked<'_>>> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let names: BTreeSet<&str> = found.iter().map(|it| it.header.as_str()).collect();
    let all = count(schema);
    // What is marked elsewhere than on the way of properties alone is marked wrongly.
    (names.len() == found.len() && all == found.len()).then_some(found)
}

fn collect<'a>(
    schema: &'a Value,
    path: &mut Vec<&'a str>,
    found: &mut Vec<Marked<'a>>,
) -> Option<()> {
    if let Some(name) = schema.get(MARK) {
        let name = name.as_str().filter(|it| !it.is_empty())?;
        let kind = schema.get("type")?.as_str()?;
        if path.is_empty() || !matches!(kind, "string" | "integer" | "boolean") {
            return None;
        }
        found.push(Marked {
            path: path.clone(),
            header: HeaderName::try_from(format!("{PREFIX}{name}")).ok()?,
        });
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            path.push(name);
            collect(property, path, found)?;
            path.pop();
        }
    }
    Some(())
}

/// How many marks there are, wherever. A parameter that happens to have the mark's name is none.
fn count(schema: &Value) -> usize {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, it)| match (name.as_str(), it) {
                (MARK, Value::Object(_)) => count(it),
                (MARK, _) => 1,
                // Values, not schemas.
                ("default" | "const" | "enum" | "examples", _) => 0,
                _ => count(it),
            })
            .sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, it)| name.contains('\0') || has_nul(it)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(properties: &Value) -> Value {
        json!({"type": "object", "properties": properties})
    }

    fn sent(schema: &Value, arguments: &Value) -> Option<Vec<(String, String)>> {
        let arguments = arguments.as_object().unwrap();
        let headers = headers(schema, arguments)?;
        let text = |it: &HeaderValue| it.to_str().unwrap().to_owned();
        let pairs = headers.iter();
        Some(
            pairs
                .map(|(name, it)| (name.to_string(), text(it)))
                .collect(),
        )
    }

    #[test]
    fn marked_parameters_go_along_as_headers() {
        let schema = schema(&json!({
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {
                "n": {"type": "integer", "x-mcp-header": "N"}}},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"},
            "query": {"type": "string"},
        }));
        assert!(are_fit(&schema));
        let all = json!({"region": "us-west1", "deep": {"n": -7}, "dry": false, "query": "q"});
        let mut pairs = sent(&schema, &all).unwrap();
        pairs.sort();
        let expected = [("dry", "false"), ("n", "-7"), ("region", "us-west1")];
        let expected = expected.map(|(name, it)| (format!("mcp-param-{name}"), it.to_owned()));
        assert_eq!(pairs, expected);
        assert_eq!(sent(&schema, &json!({"region": null})), Some(vec![]));
        assert_eq!(sent(&schema, &json!({"deep": {"n": 1.5}})), None);
        assert_eq!(
            sent(&schema, &json!({"deep": {"n": 9_007_199_254_740_992_i64}})),
            None
        );
    }

    /// The examples of the specification.
    #[test]
    fn what_a_header_cannot_carry_goes_in_base64() {
        for (text, written) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(value(text).unwrap(), written);
        }
        assert_eq!(value(&"a".repeat(LONGEST_VALUE + 1)), None);
    }

    #[test]
    fn a_schema_that_is_marked_wrongly_is_not_fit() {
        let text = |name: &str| json!({"type": "string", "x-mcp-header": name});
        for properties in [
            json!({"a": text("")}),
            json!({"a": text("two words")}),
            json!({"a": text("A\r\nHost: evil")}),
            json!({"a": text("Same"), "b": text("same")}),
            json!({"a": {"type": "number", "x-mcp-header": "A"}}),
            json!({"a": {"x-mcp-header": "A"}}),
            json!({"a": {"type": "array", "items": text("A")}}),
            json!({"a": {"anyOf": [text("A")]}}),
            json!({"a": {"type": "string", "x-mcp-header": 7}}),
        ] {
            assert!(!are_fit(&schema(&properties)), "{properties}");
        }
        // A parameter of that name, and a value that looks like a mark, are none.
        let named =
            json!({"x-mcp-header": {"type": "string"}, "b": {"default": {"x-mcp-header": "B"}}});
        assert!(are_fit(&schema(&named)));
    }

    #[test]
    fn what_cannot_be_stored_is_not_fit() {
        for schema in [
            json!({"properties": {"a\0": {}}}),
            json!({"description": "\0"}),
            json!({"enum": [["\0"]]}),
        ] {
            assert!(!are_fit(&schema), "{schema}");
        }
    }
}
