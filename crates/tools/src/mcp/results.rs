//! A call, and what came of it, made fit for a model.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::Call;
use super::error::McpError;
use super::message::HEADER_MISMATCH;
use super::opening::wants_a_session;
use super::parameters;
use super::session::{Answered, Failure, Session, Way};
use crate::Outcome;
use crate::reply::told;
use crate::secrets::Secrets;

const NAME_HEADER: HeaderName = HeaderName::from_static("mcp-name");
const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// How many parts of a result are looked at.
const MOST_PARTS: usize = 100;

/// Makes a call. It is sent a second time only where the server said that it did not look at the
/// first: it knows the session no more, or wants one.
pub(super) async fn call(session: &mut Session, call: &Call<'_>) -> Outcome {
    match answered(session, call).await {
        Ok(answered) => outcome(&answered.result, &session.server().secrets),
        Err(Failure::Rpc(_, error)) if error.code == HEADER_MISMATCH => Outcome::failed(
            "tool_changed",
            "The tool takes other arguments by now than it was set up with.".to_owned(),
        ),
        Err(failure) => failure.shown(session.server()).outcome(),
    }
}

async fn answered(session: &mut Session, call: &Call<'_>) -> Result<Answered, Failure> {
    session.open().await?;
    match ask(session, call).await {
        Err(Failure::Other(McpError::SessionLost)) => session.initialize().await?,
        Err(failure) if session.way == Way::Stateless && wants_a_session(&failure) => {
            session.initialize().await?;
        }
        result => return result,
    }
    ask(session, call).await
}

async fn ask(session: &mut Session, call: &Call<'_>) -> Result<Answered, Failure> {
    let mut headers = HeaderMap::new();
    if session.way == Way::Stateless {
        let wrong = McpError::Protocol("an argument does not fit into a header");
        headers = parameters::headers(call.schema.as_value(), call.arguments).ok_or(wrong)?;
        let wrong = McpError::Protocol("the tool's name does not fit into a header");
        headers.insert(NAME_HEADER, parameters::value(call.tool).ok_or(wrong)?);
    }
    if let Some(key) = call.idempotency_key {
        let key = HeaderValue::try_from(key.to_string());
        headers.extend(key.ok().map(|key| (KEY_HEADER, key)));
    }
    let mut params = Map::new();
    params.insert("name".to_owned(), call.tool.into());
    params.insert("arguments".to_owned(), call.arguments.clone().into());
    let within = session.left();
    session.ask("tools/call", params, headers, within).await
}

fn outcome(result: &Map<String, Value>, secrets: &Secrets) -> Outcome {
    match result.get("resultType").and_then(Value::as_str) {
        None | Some("complete") => {}
        Some("input_required") => {
            return Outcome::failed(
                "needs_input",
                "The tool wants to ask for more, which is not possible here.".to_owned(),
            );
        }
        Some(_) => return McpError::Protocol("a result of an unknown kind").outcome(),
    }
    let content = told(&in_words(result), secrets);
    match result.get("isError") {
        Some(Value::Bool(true)) => Outcome::failed("tool_error", content),
        _ => Outcome::done(content),
    }
}

/// What is in a result, as text: the texts, and of everything else what it is.
fn in_words(result: &Map<String, Value>) -> String {
    let parts = result.get("content").and_then(Value::as_array);
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    let has_text = parts.iter().any(|it| it.get("text").is_some());
    let mut words: Vec<String> = parts.iter().take(MOST_PARTS).map(part).collect();
    if let Some(structured) = result.get("structuredContent").filter(|_| !has_text) {
        words.push(structured.to_string());
    }
    if parts.len() > MOST_PARTS {
        words.push(format!("[{} more parts]", parts.len() - MOST_PARTS));
    }
    match words.is_empty() {
        true => "[The tool gave nothing back.]".to_owned(),
        false => words.join("\n\n"),
    }
}

fn part(part: &Value) -> String {
    let field = |name: &str| part.get(name).and_then(Value::as_str).unwrap_or_default();
    match field("type") {
        "text" => field("text").to_owned(),
        kind @ ("image" | "audio") => blob(kind, field("mimeType"), field("data")),
        "resource_link" => link(field("name"), field("description"), field("uri")),
        "resource" => match part.get("resource") {
            Some(resource) => embedded(resource),
            None => "[resource]".to_owned(),
        },
        _ => "[something of a kind that is not known here]".to_owned(),
    }
}

fn embedded(resource: &Value) -> String {
    let field = |name: &str| resource.get(name).and_then(Value::as_str);
    match (field("text"), field("blob")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(data)) => blob("file", field("mimeType").unwrap_or_default(), data),
        (None, None) => link("", "", field("uri").unwrap_or_default()),
    }
}

/// What cannot be shown to a model as text: its kind and size, from the length of its base64.
fn blob(kind: &str, media_type: &str, data: &str) -> String {
    let padding = data.bytes().rev().take_while(|it| *it == b'=').count();
    let bytes = (data.len() / 4 * 3).saturating_sub(padding.min(2));
    match media_type {
        "" => format!("[{kind}, {bytes} bytes]"),
        media_type => format!("[{kind} {media_type}, {bytes} bytes]"),
    }
}

fn link(name: &str, description: &str, uri: &str) -> String {
    let words = [name, description, uri].into_iter();
    let words: Vec<&str> = words.filter(|it| !it.is_empty()).collect();
    format!("[link: {}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(result: Value) -> Outcome {
        let Value::Object(result) = result else {
            panic!("a result is an object")
        };
        outcome(&result, &Secrets::of(["Bearer abcdef-123456"]))
    }

    #[test]
    fn texts_are_joined_and_the_rest_is_named() {
        let result = of(json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
            {"type": "audio", "data": "AAA="},
            {"type": "resource_link", "name": "main.rs", "uri": "file:///main.rs"},
            {"type": "resource", "resource": {"uri": "x:1", "text": "embedded"}},
            {"type": "resource", "resource": {"uri": "x:2", "mimeType": "a/b", "blob": "AA=="}},
            {"type": "hologram"},
            {"type": "text", "text": "two"},
        ], "structuredContent": {"not": "said twice"}}));
        let expected = [
            "one",
            "[image image/png, 3 bytes]",
            "[audio, 2 bytes]",
            "[link: main.rs, file:///main.rs]",
            "embedded",
            "[file a/b, 1 bytes]",
            "[something of a kind that is not known here]",
            "two",
        ];
        assert_eq!(result, Outcome::done(expected.join("\n\n")));
    }

    #[test]
    fn what_is_structured_is_shown_where_there_is_no_text() {
        let result =
            of(json!({"content": [], "structuredContent": {"t": 21, "k": "abcdef-123456"}}));
        assert_eq!(
            result,
            Outcome::done(r#"{"k":"[secret]","t":21}"#.to_owned())
        );
        assert_eq!(of(json!({})).error, None);
        assert_eq!(of(json!({})).content, "[The tool gave nothing back.]");
    }

    #[test]
    fn failures_are_failures() {
        let failed =
            of(json!({"isError": true, "content": [{"type": "text", "text": "no abcdef-123456"}]}));
        assert_eq!(
            failed,
            Outcome::failed("tool_error", "no [secret]".to_owned())
        );
        assert_eq!(
            of(json!({"resultType": "input_required"})).error,
            Some("needs_input")
        );
        assert_eq!(of(json!({"resultType": "task"})).error, Some("protocol"));
        let done = of(json!({"resultType": "complete", "isError": "yes", "content": 7}));
        assert_eq!(done.error, None);
    }
}
