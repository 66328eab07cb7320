//! OpenAI's chat completions.

use serde_json::{Value, json};

use super::{Frame, Script, pieces};
use crate::answer::{Answer, FakeCall};
use crate::behaviour::Behaviour;
use crate::failure::Failure;

/// The same for all answers: the fake is deterministic.
const ID: &str = "chatcmpl-fake";
/// A time that is no time.
const CREATED: u64 = 1_700_000_000;

pub(super) fn objection(request: &Value) -> Option<String> {
    (!request["messages"].is_array()).then(|| "`messages` must be a list".to_owned())
}

pub(super) fn normal(request: &Value) -> Value {
    let tools = request["tools"].as_array().into_iter().flatten();
    let names: Vec<&Value> = tools.map(|it| &it["function"]["name"]).collect();
    let may_call = request["tool_choice"] != "none";
    let messages = request["messages"].as_array().into_iter().flatten();
    let messages = messages.map(|it| {
        json!({"role": it["role"], "content": it["content"], "called": it["tool_calls"].is_array()})
    });
    let messages: Vec<Value> = messages.collect();
    json!({"messages": messages, "tools": names, "may_call": may_call})
}

pub(super) fn head(script: &Script) -> Frame {
    chunk(script, &json!({"role": "assistant", "content": ""}), None)
}

/// What Azure says before anything else: of no model, and without a choice.
pub(super) fn prompt_filter() -> Frame {
    Frame::plain(&json!({
        "choices": [], "created": 0, "id": "", "model": "", "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {
            "hate": {"filtered": false, "severity": "safe"},
        }}],
    }))
}

pub(super) fn thought(script: &Script) -> Frame {
    chunk(
        script,
        &json!({"content": null, "reasoning_content": "hm "}),
        None,
    )
}

pub(super) fn token(script: &Script, text: &str) -> Frame {
    // Put together by hand, since benchmarks send many of them.
    let (model, text) = (
        Value::String(script.model.clone()),
        Value::String(text.to_owned()),
    );
    Frame::plain(&format!(
        r#"{{"id":"{ID}","object":"chat.completion.chunk","created":{CREATED},"model":{model},"choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
    ))
}

pub(super) fn call(script: &Script, index: usize, call: &FakeCall) -> Vec<Frame> {
    let begin = json!({"tool_calls": [{
        "index": index, "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }]});
    let more = pieces(&call.arguments).into_iter().map(|piece| {
        let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
        chunk(script, &delta, None)
    });
    [chunk(script, &begin, None)]
        .into_iter()
        .chain(more)
        .collect()
}

pub(super) fn finish(script: &Script, answer: &Answer, behaviour: &Behaviour) -> Vec<Frame> {
    let mut frames = Vec::new();
    if !behaviour.no_finish {
        frames.push(chunk(script, &json!({}), Some(reason(answer, behaviour))));
    }
    if script.usage {
        let mut data = opening(script);
        data["choices"] = json!([]);
        data["usage"] = usage(answer);
        frames.push(Frame::plain(&data));
    }
    frames
}

fn chunk(script: &Script, delta: &Value, finish: Option<&str>) -> Frame {
    let mut data = opening(script);
    data["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    Frame::plain(&data)
}

fn opening(script: &Script) -> Value {
    json!({
        "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": script.model,
    })
}

fn reason<'a>(answer: &Answer, behaviour: &'a Behaviour) -> &'a str {
    let usual = match answer.calls.is_empty() {
        true => "stop",
        false => "tool_calls",
    };
    behaviour.finish.as_deref().unwrap_or(usual)
}

pub(super) fn whole(model: &str, answer: &Answer, behaviour: &Behaviour) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.whole()});
    if !answer.calls.is_empty() {
        let called = answer.calls.iter().map(|call| {
            json!({"id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments}})
        });
        message["tool_calls"] = called.collect();
    }
    let mut reply = json!({
        "id": ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{
            "index": 0,
            "message": message,
            "finish_reason": reason(answer, behaviour),
        }],
    });
    if !behaviour.no_usage {
        reply["usage"] = usage(answer);
    }
    reply
}

/// What an answer took.
fn usage(answer: &Answer) -> Value {
    let (prompt, completion) = (answer.prompt_tokens, answer.len());
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    })
}

/// The object under `error`.
pub(super) fn error(failure: Failure, key: Option<&str>) -> Value {
    let (kind, code, message) = match failure {
        Failure::Quota => (
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details."
                .to_owned(),
        ),
        Failure::Context => (
            "invalid_request_error",
            "context_length_exceeded",
            "This model's maximum context length is 8192 tokens. However, your messages \
             resulted in 9000 tokens. Please reduce the length of the messages."
                .to_owned(),
        ),
        Failure::Filter => (
            "invalid_request_error",
            "content_filter",
            "The response was filtered due to the prompt triggering the content policy.".to_owned(),
        ),
        // A provider that repeats the key in full is the worst case for those who log.
        Failure::Status(401) => (
            "invalid_request_error",
            "invalid_api_key",
            format!("Incorrect API key provided: {}.", key.unwrap_or("none")),
        ),
        Failure::Status(404) => (
            "invalid_request_error",
            "model_not_found",
            "The model does not exist or you do not have access to it.".to_owned(),
        ),
        Failure::Status(429) => (
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached for requests.".to_owned(),
        ),
        Failure::Status(500..) => (
            "server_error",
            "",
            "The server had an error while processing your request.".to_owned(),
        ),
        Failure::Status(status) => (
            "invalid_request_error",
            "",
            format!("The request was refused with status {status}."),
        ),
    };
    let code = (!code.is_empty()).then_some(code);
    json!({"message": message, "type": kind, "param": null, "code": code})
}
