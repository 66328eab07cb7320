use super::*;
use serde_json::json;

fn misfits(properties: &Value, input: &Value) -> Vec<String> {
    let schema = json!({ "type": "object", "properties": properties, "required": ["must"] });
    let mut input = input.as_object().unwrap().clone();
    input.entry("must").or_insert(json!(true));
    let violations = Schema::parse(schema).unwrap().check(&input);
    let violations = violations.err().unwrap_or_default();
    violations
        .into_iter()
        .map(|it| format!("{} {}", it.field, it.message))
        .collect()
}

/// Each schema with values that fit and values that do not.
#[test]
fn values_are_judged_as_the_standard_says() {
    let cases = [
        (
            json!({ "type": "string" }),
            json!(["", "a"]),
            json!([1, null, {}]),
        ),
        (
            json!({ "type": "integer" }),
            json!([1, -1, 2.0, 1e3]),
            json!([1.5, "1", true]),
        ),
        (
            json!({ "type": "number" }),
            json!([1, 1.5]),
            json!(["1", null]),
        ),
        (
            json!({ "type": ["string", "null"] }),
            json!(["", null]),
            json!([1]),
        ),
        (
            json!({ "enum": ["a", 1] }),
            json!(["a", 1, 1.0]),
            json!(["b", true]),
        ),
        (json!({ "const": 7 }), json!([7, 7.0]), json!([8])),
        (
            json!({ "minLength": 1, "maxLength": 2 }),
            json!(["é", "ab", 7]),
            json!(["", "abc"]),
        ),
        (
            json!({ "pattern": "^[0-9]{3}$" }),
            json!(["123"]),
            json!(["12", "1234", "abc"]),
        ),
        (
            json!({ "minimum": 1, "exclusiveMaximum": 2 }),
            json!([1, 1.9]),
            json!([0.9, 2]),
        ),
        (
            json!({ "maximum": 1, "exclusiveMinimum": 0 }),
            json!([1, 0.1]),
            json!([1.1, 0]),
        ),
        (
            json!({ "items": { "type": "string" }, "minItems": 1, "maxItems": 2, "uniqueItems": true }),
            json!([["a"], ["a", "b"]]),
            json!([[], ["a", "b", "c"], [1], ["a", "a"]]),
        ),
        (
            json!({ "prefixItems": [{ "type": "string" }], "items": false }),
            json!([["a"], []]),
            json!([[1], ["a", "b"]]),
        ),
        (
            json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
                 "additionalProperties": false }),
            json!([{ "a": "" }]),
            json!([{}, { "a": 1 }, { "a": "", "b": 1 }]),
        ),
        (
            json!({ "additionalProperties": { "type": "string" }, "minProperties": 1, "maxProperties": 1 }),
            json!([{ "x": "" }]),
            json!([{ "x": 1 }, {}, { "x": "", "y": "" }]),
        ),
        (
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            json!(["", null]),
            json!([1]),
        ),
        (
            json!({ "oneOf": [{ "type": "number" }, { "minimum": 5, "type": "number" }] }),
            json!([1]),
            json!([6, "a"]),
        ),
        (
            json!({ "allOf": [{ "minimum": 1 }, { "maximum": 2 }] }),
            json!([1, 2]),
            json!([0, 3]),
        ),
        (
            json!({ "not": { "type": "string" } }),
            json!([1]),
            json!(["a"]),
        ),
        (
            json!({ "multipleOf": 0.01 }),
            json!([19.99, 0, 1e15, -0.07]),
            json!([0.001, 19.995]),
        ),
        (
            json!({ "patternProperties": { "^x_": { "type": "integer" } }, "additionalProperties": false }),
            json!([{ "x_a": 1 }, {}]),
            json!([{ "x_a": "1" }, { "y": 1 }]),
        ),
        (json!(true), json!([1, "a"]), json!([])),
        (json!(false), json!([]), json!([1, "a"])),
    ];
    for (schema, fitting, others) in cases {
        for value in fitting.as_array().unwrap() {
            let found = misfits(&json!({ "a": schema }), &json!({ "a": value }));
            assert!(found.is_empty(), "{value} and {schema}: {found:?}");
        }
        for value in others.as_array().unwrap() {
            let found = misfits(&json!({ "a": schema }), &json!({ "a": value }));
            assert!(!found.is_empty(), "{value} and {schema}");
            assert!(found.iter().all(|it| it.starts_with('a')), "{found:?}");
        }
    }
}

/// Where one schema alone describes an object, what it does not describe is sent to nobody; JSON Schema
/// would allow it.
#[test]
fn a_field_within_that_is_described_nowhere_does_not_fit() {
    let one = json!({ "properties": { "b": {} } });
    let with = |more: Value| {
        let mut schema = one.clone();
        schema
            .as_object_mut()
            .unwrap()
            .append(&mut more.as_object().unwrap().clone());
        schema
    };
    let cases = [
        (one.clone(), false),
        (json!({ "type": "object" }), true),
        (json!({ "properties": {} }), true),
        (with(json!({ "additionalProperties": true })), true),
        (with(json!({ "patternProperties": { "^c": {} } })), true),
        (with(json!({ "patternProperties": { "^d": {} } })), false),
        (with(json!({ "required": ["c"] })), true),
        (
            with(json!({ "allOf": [{ "properties": { "c": {} } }] })),
            true,
        ),
        (
            with(json!({ "anyOf": [{ "properties": { "c": {} } }] })),
            true,
        ),
        (json!({ "anyOf": [one.clone(), { "type": "null" }] }), false),
        (json!({ "allOf": [one.clone()] }), true),
        (json!({ "items": one.clone() }), true),
    ];
    for (schema, fits) in cases {
        let found = misfits(&json!({ "a": schema }), &json!({ "a": { "b": 1, "c": 2 } }));
        assert_eq!(found.is_empty(), fits, "{schema}: {found:?}");
    }
    let list = json!({ "a": { "items": one } });
    let found = misfits(&list, &json!({ "a": [{ "b": 1 }, { "c": 2 }] }));
    assert_eq!(found, ["a.1.c is not described"]);
}

#[test]
fn names_of_arguments_are_allowed_by_pattern() {
    let schema = json!({ "patternProperties": { "^x_": { "type": "integer" } } });
    let schema = Schema::parse(schema).unwrap();
    assert!(schema.declares("x_a") && !schema.declares("y"));
    assert_eq!(
        schema
            .check(json!({ "x_a": "1" }).as_object().unwrap())
            .unwrap_err()[0]
            .field,
        "x_a"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let lines = json!({ "lines": { "items": { "type": "object", "properties":
        { "count": { "type": "integer" } }, "required": ["sku"] } } });
    let found = misfits(
        &lines,
        &json!({ "lines": [{ "sku": "a" }, { "count": "two" }] }),
    );
    let expected = [
        "lines.1.sku is missing",
        "lines.1.count must be integer, not string",
    ];
    assert_eq!(found, expected);
    let schema = Schema::parse(json!({ "required": ["order_id"] })).unwrap();
    let violations = schema.check(&Map::new()).unwrap_err();
    assert_eq!(violations[0].field, "order_id");
}

#[test]
fn references_lead_within_the_schema_and_never_in_a_circle() {
    let parse = |schema| Schema::parse(schema).unwrap();
    let schema = parse(json!({
        "$defs": { "node": { "type": "object", "properties":
            { "name": { "type": "string" }, "next": { "$ref": "#/$defs/node" } } } },
        "properties": { "list": { "$ref": "#/$defs/node" } },
    }));
    let check = |schema: &Schema, input: Value| schema.check(input.as_object().unwrap());
    assert!(
        check(
            &schema,
            json!({ "list": { "next": { "next": { "name": "a" } } } })
        )
        .is_ok()
    );
    let found = check(&schema, json!({ "list": { "next": { "name": 7 } } })).unwrap_err();
    assert_eq!(found[0].field, "list.next.name");

    let circle = parse(json!({ "allOf": [{ "$ref": "#" }] }));
    assert!(check(&circle, json!({})).is_err());
    let circle = parse(json!({ "$defs": { "a": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }));
    assert!(check(&circle, json!({})).is_err());

    // Each level asks twice as often as the one before.
    let level = |next: String| json!({ "anyOf": [{ "allOf": [{ "$ref": next }, false] }, { "allOf": [{ "$ref": next }, false] }] });
    let levels: Map<String, Value> = (0..30)
        .map(|at| (at.to_string(), level(format!("#/$defs/{}", at + 1))))
        .chain([("30".to_owned(), json!(true))])
        .collect();
    let many = parse(json!({ "$defs": levels, "$ref": "#/$defs/0" }));
    assert!(check(&many, json!({})).is_err());
}
