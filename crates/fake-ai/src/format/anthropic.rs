//! Anthropic's messages.

use http::HeaderMap;
use serde_json::{Value, json};

use super::{Frame, Script, pieces};
use crate::answer::{Answer, FakeCall};
use crate::behaviour::Behaviour;
use crate::failure::Failure;

/// What Anthropic's own server refuses.
pub(super) fn objection(headers: &HeaderMap, request: &Value) -> Option<String> {
    if !headers.contains_key("anthropic-version") {
        return Some("anthropic-version: header is required".to_owned());
    }
    if !request["max_tokens"].is_u64() {
        return Some("max_tokens: Field required".to_owned());
    }
    let Some(messages) = request["messages"].as_array() else {
        return Some("messages: Field required".to_owned());
    };
    let blocks = messages.iter().flat_map(|it| it["content"].as_array());
    let has_calls = blocks.flatten().any(|it| it["type"] == "tool_use");
    if has_calls && request["tools"].as_array().is_none_or(Vec::is_empty) {
        return Some(
            "Requests which include `tool_use` or `tool_result` blocks must define tools."
                .to_owned(),
        );
    }
    for (index, message) in messages.iter().enumerate() {
        let expected = if index % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != expected {
            return Some(format!(
                "messages.{index}: roles must alternate between \"user\" and \"assistant\""
            ));
        }
        let blocks = message["content"].as_array().into_iter().flatten();
        let is_blank = |it: &Value| it["text"].as_str().is_some_and(|it| it.trim().is_empty());
        if blocks.clone().any(is_blank) {
            return Some(format!(
                "messages.{index}: text content blocks must contain non-whitespace text"
            ));
        }
    }
    None
}

pub(super) fn normal(request: &Value) -> Value {
    let mut messages = Vec::new();
    if let Some(system) = request["system"].as_str() {
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in request["messages"].as_array().into_iter().flatten() {
        for block in message["content"].as_array().into_iter().flatten() {
            messages.push(match block["type"].as_str() {
                Some("tool_result") => json!({"role": "tool", "content": block["content"]}),
                Some("tool_use") => json!({"role": message["role"], "called": true}),
                _ => json!({"role": message["role"], "content": block["text"]}),
            });
        }
    }
    let tools = request["tools"].as_array().into_iter().flatten();
    let names: Vec<&Value> = tools.map(|it| &it["name"]).collect();
    let may_call = request["tool_choice"]["type"] != "none";
    json!({"messages": messages, "tools": names, "may_call": may_call})
}

pub(super) fn named(name: &'static str, data: &Value) -> Frame {
    Frame {
        name: Some(name),
        data: data.to_string(),
    }
}

pub(super) fn head(script: &Script, answer: &Answer) -> Vec<Frame> {
    let mut message = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": script.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
    });
    if script.usage {
        message["usage"] = json!({"input_tokens": answer.prompt_tokens, "output_tokens": 1});
    }
    let start = json!({"type": "message_start", "message": message});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    vec![
        named("message_start", &start),
        named("content_block_start", &block),
        named("ping", &json!({"type": "ping"})),
    ]
}

fn delta(index: usize, delta: &Value) -> Frame {
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    named("content_block_delta", &data)
}

fn stop(index: usize) -> Frame {
    let data = json!({"type": "content_block_stop", "index": index});
    named("content_block_stop", &data)
}

pub(super) fn thought() -> Frame {
    delta(0, &json!({"type": "thinking_delta", "thinking": "hm "}))
}

pub(super) fn token(text: &str) -> Frame {
    delta(0, &json!({"type": "text_delta", "text": text}))
}

/// A call is a block of its own, after the text's.
pub(super) fn call(index: usize, call: &FakeCall) -> Vec<Frame> {
    let index = index + 1;
    let block = json!({"type": "content_block_start", "index": index, "content_block": {
        "type": "tool_use", "id": call.id, "name": call.name, "input": {},
    }});
    let more = pieces(&call.arguments).into_iter().map(|piece| {
        delta(
            index,
            &json!({"type": "input_json_delta", "partial_json": piece}),
        )
    });
    [named("content_block_start", &block)]
        .into_iter()
        .chain(more)
        .chain([stop(index)])
        .collect()
}

pub(super) fn finish(script: &Script, answer: &Answer, behaviour: &Behaviour) -> Vec<Frame> {
    let mut frames = vec![stop(0)];
    if behaviour.no_finish {
        return frames;
    }
    let mut data = json!({"type": "message_delta",
        "delta": {"stop_reason": reason(answer, behaviour), "stop_sequence": null}});
    if script.usage {
        data["usage"] = json!({"output_tokens": answer.len()});
    }
    frames.push(named("message_delta", &data));
    frames
}

fn reason<'a>(answer: &Answer, behaviour: &'a Behaviour) -> &'a str {
    let usual = match answer.calls.is_empty() {
        true => "end_turn",
        false => "tool_use",
    };
    behaviour.finish.as_deref().unwrap_or(usual)
}

pub(super) fn whole(model: &str, answer: &Answer, behaviour: &Behaviour) -> Value {
    let text = json!({"type": "text", "text": answer.whole()});
    let calls = answer.calls.iter().map(|call| {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
    });
    let content: Vec<Value> = [text].into_iter().chain(calls).collect();
    let mut reply = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": reason(answer, behaviour), "stop_sequence": null,
    });
    if !behaviour.no_usage {
        reply["usage"] =
            json!({"input_tokens": answer.prompt_tokens, "output_tokens": answer.len()});
    }
    reply
}

pub(super) fn error(failure: Failure) -> Value {
    let (kind, message) = match failure {
        Failure::Quota => (
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.".to_owned(),
        ),
        Failure::Context => (
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum".to_owned(),
        ),
        Failure::Filter => (
            "invalid_request_error",
            "Output blocked by content filtering policy".to_owned(),
        ),
        Failure::Status(401) => ("authentication_error", "invalid x-api-key".to_owned()),
        Failure::Status(403) => ("permission_error", "not permitted".to_owned()),
        Failure::Status(404) => ("not_found_error", "model: no such model".to_owned()),
        Failure::Status(429) => (
            "rate_limit_error",
            "This request would exceed a limit".to_owned(),
        ),
        Failure::Status(500) => ("api_error", "Internal server error".to_owned()),
        Failure::Status(500..) => ("overloaded_error", "Overloaded".to_owned()),
        Failure::Status(status) => ("invalid_request_error", format!("refused with {status}")),
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"})
}
