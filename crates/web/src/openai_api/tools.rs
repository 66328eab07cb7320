//! The tools that a program offers, and how it wants them used.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use stoa_app::completions::{AnswerFormat, Offer, Tool, ToolChoice};
use utoipa::ToSchema;

use super::error::{OpenAiError, require};

/// The most tools of one request, as with OpenAI.
const MOST_TOOLS: usize = 128;
/// The longest name, as with OpenAI.
const NAME_BYTES: usize = 64;
/// The most that the descriptions and schemas of all tools, or of a format, may be together.
const SCHEMA_BYTES: usize = 256 * 1024;

/// A tool that the model may ask for.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewTool {
    /// Only `function`.
    #[serde(rename = "type")]
    kind: String,
    /// What it is.
    #[serde(default)]
    function: Option<NewFunction>,
}

/// What a tool is.
#[derive(Deserialize, ToSchema)]
struct NewFunction {
    /// Letters, digits, `_` and `-`, at most 64.
    name: String,
    /// What it does and when to use it.
    #[serde(default)]
    description: Option<String>,
    /// The JSON schema of its arguments, which are an object. Absent, it has none.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// Whether the provider is to hold the model to the schema, where it can.
    #[serde(default)]
    strict: Option<bool>,
}

/// What a program says about tools.
pub(super) struct Wanted {
    pub(super) tools: Vec<NewTool>,
    pub(super) choice: Option<Value>,
    pub(super) parallel: Option<bool>,
}

impl Wanted {
    pub(super) fn parse(self) -> Result<Offer, OpenAiError> {
        let fits = self.tools.len() <= MOST_TOOLS;
        require(fits, "tools", "Give at most 128 tools.")?;
        let (mut tools, mut names, mut size) = (Vec::new(), HashSet::new(), 0);
        for (index, tool) in self.tools.into_iter().enumerate() {
            let field = format!("tools[{index}]");
            let tool = tool.parse(&field)?;
            let is_new = names.insert(tool.name.clone());
            let name_field = format!("{field}.function.name");
            require(is_new, &name_field, "Another tool has this name.")?;
            size += tool.description.len() + tool.schema.to_string().len();
            let fits = size <= SCHEMA_BYTES;
            require(fits, &field, "The tools are more than 256 KiB together.")?;
            tools.push(tool);
        }
        let (choice, allowed) = choice(self.choice, &tools)?;
        if let Some(allowed) = allowed {
            tools.retain(|tool| allowed.contains(&tool.name));
        }
        Ok(Offer {
            tools,
            choice,
            one_call: self.parallel == Some(false),
        })
    }
}

impl NewTool {
    fn parse(self, field: &str) -> Result<Tool, OpenAiError> {
        only_functions(Some(&self.kind), field)?;
        let missing = || OpenAiError::invalid(Some(field), "Give “function” with a “name”.");
        let function = self.function.ok_or_else(missing)?;
        let field = format!("{field}.function");
        require(
            is_name(&function.name),
            &format!("{field}.name"),
            "A name is 1 to 64 letters, digits, “_” and “-”.",
        )?;
        let description = function.description.unwrap_or_default();
        let schema = schema(function.parameters, &format!("{field}.parameters"))?;
        Ok(Tool {
            name: function.name,
            description,
            schema,
            strict: function.strict.unwrap_or_default(),
        })
    }
}

/// Refuses what is a tool or a call of another kind than a function.
pub(super) fn only_functions(kind: Option<&str>, field: &str) -> Result<(), OpenAiError> {
    match kind {
        Some("function") | None => Ok(()),
        Some(_) => Err(OpenAiError::unsupported(
            &format!("{field}.type"),
            "Only tools of the type “function” are supported.",
        )),
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

/// A schema of an object, which providers want to be called one.
fn schema(given: Option<Value>, field: &str) -> Result<Value, OpenAiError> {
    let mut schema = match given {
        None | Some(Value::Null) => Map::from_iter([("properties".to_owned(), json!({}))]),
        Some(Value::Object(schema)) => schema,
        Some(_) => {
            let message = "Give a JSON schema, which is an object.";
            return Err(OpenAiError::invalid(Some(field), message));
        }
    };
    let kind = schema.entry("type").or_insert_with(|| json!("object"));
    let is_object = kind == "object";
    require(is_object, field, "The schema’s “type” is “object”.")?;
    Ok(Value::Object(schema))
}

/// The choice, and the only tools that are allowed, where it says so.
fn choice(
    given: Option<Value>,
    tools: &[Tool],
) -> Result<(ToolChoice, Option<HashSet<String>>), OpenAiError> {
    let given = given.unwrap_or_default();
    let choice = match (given.as_str(), given["type"].as_str()) {
        (None, None) if given.is_null() => ToolChoice::Auto,
        (Some("auto"), _) => ToolChoice::Auto,
        (Some("none"), _) => ToolChoice::None,
        (Some("required"), _) => ToolChoice::Required,
        (None, Some("function")) => ToolChoice::Named(known(&given, tools)?),
        (None, Some("allowed_tools")) => return allowed(&given["allowed_tools"], tools),
        (None, Some("custom")) => {
            return Err(OpenAiError::unsupported(
                "tool_choice",
                "Only tools of the type “function” are supported.",
            ));
        }
        _ => {
            return Err(wrong_choice(
                "Give “auto”, “none”, “required” or a function.",
            ));
        }
    };
    if tools.is_empty() && choice == ToolChoice::Required {
        return Err(wrong_choice("It demands a call, but there are no “tools”."));
    }
    Ok((choice, None))
}

fn allowed(
    given: &Value,
    tools: &[Tool],
) -> Result<(ToolChoice, Option<HashSet<String>>), OpenAiError> {
    let choice = match given["mode"].as_str() {
        Some("auto") => ToolChoice::Auto,
        Some("required") => ToolChoice::Required,
        _ => {
            return Err(wrong_choice(
                "The mode of allowed tools is “auto” or “required”.",
            ));
        }
    };
    let named = given["tools"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if named.is_empty() {
        return Err(wrong_choice("Name at least one allowed tool."));
    }
    let names: Result<HashSet<String>, _> = named.iter().map(|it| known(it, tools)).collect();
    Ok((choice, Some(names?)))
}

/// The name of a function that is among the tools.
fn known(given: &Value, tools: &[Tool]) -> Result<String, OpenAiError> {
    let name = given["function"]["name"].as_str().unwrap_or_default();
    match tools.iter().any(|tool| tool.name == name) {
        true => Ok(name.to_owned()),
        false => Err(wrong_choice(
            "The function that it names is not among the “tools”.",
        )),
    }
}

fn wrong_choice(message: &str) -> OpenAiError {
    OpenAiError::invalid(Some("tool_choice"), message)
}

/// What the answer is to be; nothing where it is plain text.
pub(super) fn format(given: Option<Value>) -> Result<Option<AnswerFormat>, OpenAiError> {
    let given = given.unwrap_or_default();
    match given["type"].as_str() {
        None if given.is_null() => Ok(None),
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(AnswerFormat::JsonObject)),
        Some("json_schema") => json_schema(&given["json_schema"]).map(Some),
        _ => Err(OpenAiError::unsupported(
            "response_format",
            "Give “text”, “json_object” or “json_schema”.",
        )),
    }
}

fn json_schema(given: &Value) -> Result<AnswerFormat, OpenAiError> {
    const FIELD: &str = "response_format.json_schema";
    let name = given["name"].as_str().unwrap_or_default();
    let message = "Give a name of 1 to 64 letters, digits, “_” and “-”.";
    require(is_name(name), &format!("{FIELD}.name"), message)?;
    let (field, schema) = (format!("{FIELD}.schema"), &given["schema"]);
    require(
        schema.is_object(),
        &field,
        "Give a JSON schema, which is an object.",
    )?;
    let fits = schema.to_string().len() <= SCHEMA_BYTES;
    require(fits, &field, "The schema is more than 256 KiB.")?;
    Ok(AnswerFormat::JsonSchema {
        name: name.to_owned(),
        description: given["description"].as_str().map(str::to_owned),
        schema: schema.clone(),
        strict: given["strict"].as_bool().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
    }

    fn parsed(tools: Value, choice: Value) -> Result<Offer, String> {
        let wanted = Wanted {
            tools: serde_json::from_value(tools).unwrap(),
            choice: Some(choice),
            parallel: None,
        };
        let document = |error: OpenAiError| serde_json::to_value(error.document()).unwrap();
        let param = |error| {
            document(error)["error"]["param"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        wanted.parse().map_err(param)
    }

    #[test]
    fn every_choice_has_its_word() {
        let tools = json!([tool("a"), tool("b")]);
        let named = json!({"type": "function", "function": {"name": "b"}});
        for (given, choice) in [
            (Value::Null, ToolChoice::Auto),
            (json!("auto"), ToolChoice::Auto),
            (json!("none"), ToolChoice::None),
            (json!("required"), ToolChoice::Required),
            (named.clone(), ToolChoice::Named("b".to_owned())),
        ] {
            let offer = parsed(tools.clone(), given).unwrap();
            assert_eq!((offer.choice, offer.tools.len()), (choice, 2));
        }
        let only = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}});
        let offer = parsed(tools, only).unwrap();
        assert_eq!(offer.choice, ToolChoice::Required);
        let names: Vec<_> = offer.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn a_tool_without_parameters_has_none() {
        let bare = json!([{"type": "function", "function": {"name": "now"}}]);
        let offer = parsed(bare, Value::Null).unwrap();
        assert_eq!(
            offer.tools[0].schema,
            json!({"type": "object", "properties": {}})
        );
        let loose = json!([{"type": "function", "function": {"name": "now", "parameters": {}, "strict": true}}]);
        let offer = parsed(loose, Value::Null).unwrap();
        assert_eq!(offer.tools[0].schema, json!({"type": "object"}));
        assert!(offer.tools[0].strict);
    }

    #[test]
    fn what_is_wrong_with_tools_is_named() {
        let function = |function: Value| json!([{"type": "function", "function": function}]);
        let many: Vec<Value> = (0..=MOST_TOOLS).map(|it| tool(&format!("t{it}"))).collect();
        let large = "x".repeat(SCHEMA_BYTES / 2);
        let large =
            |name| json!({"type": "function", "function": {"name": name, "description": large}});
        for (tools, param) in [
            (json!(many), "tools"),
            (
                json!([{"type": "custom", "custom": {"name": "a"}}]),
                "tools[0].type",
            ),
            (json!([{"type": "function"}]), "tools[0]"),
            (json!([tool("a"), tool("a")]), "tools[1].function.name"),
            (json!([tool("")]), "tools[0].function.name"),
            (json!([tool("a b")]), "tools[0].function.name"),
            (json!([tool(&"a".repeat(65))]), "tools[0].function.name"),
            (
                function(json!({"name": "a", "parameters": []})),
                "tools[0].function.parameters",
            ),
            (
                function(json!({"name": "a", "parameters": {"type": "array"}})),
                "tools[0].function.parameters",
            ),
            (json!([large("a"), large("b")]), "tools[1]"),
        ] {
            assert_eq!(parsed(tools, Value::Null).unwrap_err(), param);
        }
        let named = |name| json!({"type": "function", "function": {"name": name}});
        for choice in [
            json!("always"),
            json!(7),
            json!({"type": "custom"}),
            named("b"),
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("b")]}}),
        ] {
            let error = parsed(json!([tool("a")]), choice.clone()).unwrap_err();
            assert_eq!(error, "tool_choice", "{choice}");
        }
        assert_eq!(
            parsed(json!([]), json!("required")).unwrap_err(),
            "tool_choice"
        );
        assert!(parsed(json!([]), json!("auto")).is_ok());
    }

    #[test]
    fn formats_are_read() {
        assert_eq!(format(Some(json!({"type": "text"}))).unwrap(), None);
        assert_eq!(format(None).unwrap(), None);
        let object = format(Some(json!({"type": "json_object"}))).unwrap();
        assert_eq!(object, Some(AnswerFormat::JsonObject));
        let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}});
        let schema = format(Some(schema)).unwrap();
        assert!(matches!(
            schema,
            Some(AnswerFormat::JsonSchema { strict: true, .. })
        ));
        for wrong in [
            json!({"type": "grammar"}),
            json!({}),
            json!({"type": "json_schema"}),
            json!({"type": "json_schema", "json_schema": {"name": "n"}}),
            json!({"type": "json_schema", "json_schema": {"name": "n n", "schema": {}}}),
        ] {
            assert!(format(Some(wrong.clone())).is_err(), "{wrong}");
        }
    }
}
