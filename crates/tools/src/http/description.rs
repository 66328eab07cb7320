//! What a person says of a tool, and whether it can be one.

use std::collections::BTreeMap;

use serde_json::Value;
use stoa_domain::violation::Violations;
use stoa_domain::{ToolEffect, ToolMethod, Violation};

use super::HttpTool;
use super::address::Address;
use crate::headers::Headers;
use crate::schema::Schema;

const LONGEST_NAME: usize = 40;
const LONGEST_DESCRIPTION: usize = 2_000;
/// How long a call may take: 1 to 20 s.
const TIMEOUT_MS: std::ops::RangeInclusive<i32> = 1_000..=20_000;

/// A tool as a person describes it, not examined yet. It holds secrets, so there is no `Debug`.
#[derive(Clone)]
pub struct Description {
    /// What the model calls it.
    pub name: String,
    /// What the model is told of it.
    pub description: String,
    /// How it is called.
    pub method: ToolMethod,
    /// Whether a call changes something.
    pub effect: ToolEffect,
    /// The address with its placeholders.
    pub url: String,
    /// The headers by name.
    pub headers: BTreeMap<String, String>,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: i32,
}

/// Whether every provider takes this as a tool's name, and people can tell it from an MCP tool's.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

pub(super) fn examine(description: Description) -> Result<HttpTool, Vec<Violation>> {
    let mut violations = Violations::default();
    violations.require(
        is_name(&description.name),
        "name",
        "1 to 40 letters, digits and underscores, beginning with a letter, such as find_order",
    );
    let words = description.description.trim().chars().count();
    violations.require(
        (1..=LONGEST_DESCRIPTION).contains(&words) && !description.description.contains('\0'),
        "description",
        "what it does and when to use it, for the model: 1 to 2,000 characters, without NUL",
    );
    violations.require(
        description.effect == ToolEffect::Write || description.method.may_read(),
        "effect",
        "PUT, PATCH and DELETE change something: write",
    );
    violations.require(
        TIMEOUT_MS.contains(&description.timeout_ms),
        "timeout_ms",
        "1,000 to 20,000",
    );
    let mut found = violations.into_result().err().unwrap_or_default();
    let address = Address::parse(&description.url)
        .map_err(|message| found.push(wrong("url", message)))
        .ok();
    let headers = Headers::parse(&description.headers)
        .map_err(|more| found.extend(more))
        .ok();
    let schema = Schema::parse(description.parameters)
        .map_err(|more| found.extend(more.into_iter().map(in_parameters)))
        .ok();
    if let (Some(address), Some(schema)) = (&address, &schema) {
        agree(address, schema, &mut found);
    }
    match (address, headers, schema) {
        (Some(address), Some(headers), Some(schema)) if found.is_empty() => Ok(HttpTool {
            method: description.method,
            effect: description.effect,
            // What stands in the path is needed, whether the schema says so or not.
            schema: schema.requiring(address.required()),
            address,
            headers,
            timeout_ms: description.timeout_ms.unsigned_abs(),
        }),
        _ => Err(found),
    }
}

/// Whether the address and the schema speak of the same arguments.
fn agree(address: &Address, schema: &Schema, found: &mut Vec<Violation>) {
    let mut unknown: Vec<&str> = address
        .arguments()
        .filter(|it| !schema.property(it))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    for name in unknown {
        let message = format!("the address has {{{name}}}: describe it under properties");
        found.push(wrong("parameters", &message));
    }
    let placed: Vec<&str> = address.arguments().collect();
    for name in schema.properties() {
        if !placed.contains(&name) && address.has_query(name) {
            let message = format!(
                "the address gives {name} a fixed value: leave it out here, or write {name}={{{name}}} in the address"
            );
            found.push(wrong("parameters", &message));
        }
    }
}

fn in_parameters(violation: Violation) -> Violation {
    let field = match violation.field.as_str() {
        "" => "parameters".to_owned(),
        place => format!("parameters.{place}"),
    };
    Violation { field, ..violation }
}

fn wrong(field: &str, message: &str) -> Violation {
    Violation {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find_order() -> Description {
        Description {
            name: "find_order".into(),
            description: "Finds an order by its number.".into(),
            method: ToolMethod::Get,
            effect: ToolEffect::Read,
            url: "https://api.example.com/orders/{order_id}?full={full}".into(),
            headers: BTreeMap::from([("Authorization".into(), "Bearer abcdefgh".into())]),
            parameters: json!({ "type": "object", "properties": {
                "order_id": { "type": "string" }, "full": { "type": "boolean" } } }),
            timeout_ms: 5_000,
        }
    }

    fn fields(change: impl FnOnce(&mut Description)) -> Vec<String> {
        let mut description = find_order();
        change(&mut description);
        let violations = examine(description).err().unwrap_or_default();
        violations.into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn every_field_is_examined() {
        assert!(fields(|_| {}).is_empty());
        let found = fields(|it| {
            it.name = "find order".into();
            it.description = " ".into();
            it.method = ToolMethod::Delete;
            it.url = "https://{host}/".into();
            it.headers = BTreeMap::from([("Host".into(), "a".into())]);
            it.parameters = json!({ "properties": { "a": 1 } });
            it.timeout_ms = 999;
        });
        let expected = [
            "name",
            "description",
            "effect",
            "timeout_ms",
            "url",
            "headers.Host",
            "parameters.properties.a",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_address_and_the_schema_speak_of_the_same_arguments() {
        assert_eq!(
            fields(|it| it.parameters = json!({ "properties": {} })),
            ["parameters", "parameters"]
        );
        // A value that the client fixed is not the model's to choose.
        assert_eq!(
            fields(|it| it.url = "https://api.example.com/{order_id}?FULL=0".into()),
            ["parameters"]
        );
        let tool = examine(find_order()).unwrap_or_else(|_| panic!("it is right"));
        assert_eq!(tool.schema()["required"], json!(["order_id"]));
    }

    #[test]
    fn names_are_what_every_provider_takes() {
        for good in ["a", "find_order", "A1", &"a".repeat(40)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "1a", "_a", "a-b", "a b", "é", "a.b", &"a".repeat(41)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn what_replaces_changes_or_removes_never_only_reads() {
        for method in ToolMethod::ALL {
            let found = fields(|it| it.method = *method);
            assert_eq!(
                found.is_empty(),
                matches!(method, ToolMethod::Get | ToolMethod::Post)
            );
            let writes = fields(|it| (it.method, it.effect) = (*method, ToolEffect::Write));
            assert!(writes.is_empty());
        }
    }
}
