//! Google's `generateContent`.

use serde_json::{Value, json};

use super::{Frame, Script};
use crate::answer::{Answer, FakeCall};
use crate::behaviour::Behaviour;
use crate::failure::Failure;

/// What Google's own server refuses.
pub(super) fn objection(request: &Value) -> Option<String> {
    let Some(contents) = request["contents"].as_array() else {
        return Some("contents is not specified".to_owned());
    };
    let wrong = contents
        .iter()
        .find(|it| !matches!(it["role"].as_str(), Some("user" | "model")))?;
    let role = &wrong["role"];
    Some(format!("Please use a valid role: user, model, not {role}."))
}

pub(super) fn normal(request: &Value) -> Value {
    let mut messages = Vec::new();
    if let Some(system) = request["systemInstruction"]["parts"][0]["text"].as_str() {
        messages.push(json!({"role": "system", "content": system}));
    }
    for content in request["contents"].as_array().into_iter().flatten() {
        let role = match content["role"].as_str() {
            Some("model") => "assistant",
            _ => "user",
        };
        for part in content["parts"].as_array().into_iter().flatten() {
            let response = &part["functionResponse"]["response"];
            let given = response.get("output").or_else(|| response.get("error"));
            messages.push(match given {
                Some(given) => json!({"role": "tool", "content": given}),
                None if part["functionCall"].is_object() => json!({"role": role, "called": true}),
                None => json!({"role": role, "content": part["text"]}),
            });
        }
    }
    let tools = request["tools"][0]["functionDeclarations"].as_array();
    let names: Vec<&Value> = tools.into_iter().flatten().map(|it| &it["name"]).collect();
    let may_call = request["toolConfig"]["functionCallingConfig"]["mode"] != "NONE";
    json!({"messages": messages, "tools": names, "may_call": may_call})
}

pub(super) fn thought(script: &Script) -> Frame {
    chunk(script, &json!({"text": "hm ", "thought": true}))
}

pub(super) fn token(script: &Script, text: &str) -> Frame {
    chunk(script, &json!({"text": text}))
}

/// A call comes whole, without an id.
pub(super) fn call(script: &Script, call: &FakeCall) -> Frame {
    chunk(script, &part_of(call))
}

fn part_of(call: &FakeCall) -> Value {
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    json!({"functionCall": {"name": call.name, "args": arguments}, "thoughtSignature": "c2lnbmVk"})
}

fn chunk(script: &Script, part: &Value) -> Frame {
    Frame::plain(&json!({
        "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
        "modelVersion": script.model,
        "responseId": "fake",
    }))
}

pub(super) fn finish(script: &Script, answer: &Answer, behaviour: &Behaviour) -> Vec<Frame> {
    let mut candidate = json!({"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0});
    if !behaviour.no_finish {
        candidate["finishReason"] = reason(behaviour).into();
    }
    let mut data = json!({"candidates": [candidate], "modelVersion": script.model});
    if script.usage {
        data["usageMetadata"] = usage(answer);
    }
    vec![Frame::plain(&data)]
}

fn reason(behaviour: &Behaviour) -> &str {
    behaviour.finish.as_deref().unwrap_or("STOP")
}

fn usage(answer: &Answer) -> Value {
    let (prompt, written) = (answer.prompt_tokens, answer.len());
    json!({
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "totalTokenCount": prompt + written,
    })
}

pub(super) fn whole(model: &str, answer: &Answer, behaviour: &Behaviour) -> Value {
    let text = json!({"text": answer.whole()});
    let calls = answer.calls.iter().map(part_of);
    let parts: Vec<Value> = [text].into_iter().chain(calls).collect();
    let mut reply = json!({
        "candidates": [{
            "content": {"parts": parts, "role": "model"},
            "finishReason": reason(behaviour),
            "index": 0,
        }],
        "modelVersion": model,
    });
    if !behaviour.no_usage {
        reply["usageMetadata"] = usage(answer);
    }
    reply
}

pub(super) fn error(failure: Failure, wait: Option<&str>) -> Value {
    let info = |reason: &str| {
        json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
            "domain": "googleapis.com"})
    };
    let exhausted = "You exceeded your current quota, please check your plan and billing details.";
    let (code, status, message, details) = match failure {
        Failure::Filter => return json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
        Failure::Quota => (
            429,
            "RESOURCE_EXHAUSTED",
            exhausted,
            vec![
                json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [
                {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}),
            ],
        ),
        Failure::Context => (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            Vec::new(),
        ),
        Failure::Status(401) => (
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            vec![info("API_KEY_INVALID")],
        ),
        Failure::Status(403) => (403, "PERMISSION_DENIED", "Permission denied", Vec::new()),
        Failure::Status(404) => (404, "NOT_FOUND", "models/x is not found", Vec::new()),
        Failure::Status(429) => {
            let delay = wait.map(|it| {
                json!({"@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": format!("{it}s")})
            });
            (
                429,
                "RESOURCE_EXHAUSTED",
                "Resource has been exhausted.",
                delay.into_iter().collect(),
            )
        }
        Failure::Status(503) => (503, "UNAVAILABLE", "The model is overloaded.", Vec::new()),
        Failure::Status(status @ 500..) => (status, "INTERNAL", "An internal error", Vec::new()),
        Failure::Status(status) => (status, "FAILED_PRECONDITION", "refused", Vec::new()),
    };
    json!({"error": {"code": code, "message": message, "status": status, "details": details}})
}
