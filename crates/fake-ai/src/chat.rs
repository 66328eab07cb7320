//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::body::{AnswerBody, CREATED, ID};
use crate::failure::bad_request;
use crate::server::{Admitted, Shared};

/// The fields that a strict server knows.
const KNOWN: &[&str] = &["model", "messages", "temperature", "max_tokens", "stream"];

/// Bytes that are neither text nor an event stream.
const GARBAGE: &[u8] = b"\xff\xfe\x00\x01 {]} \x80 data: \xc3\x28\n\n\r\r\x00data\xf0\x9f";

pub(crate) async fn completions(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let admitted = match shared.admit("/v1/chat/completions", &headers, &body).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let Admitted {
        behaviour,
        request,
        watch,
        ..
    } = &admitted;
    if !request["messages"].is_array() {
        watch.served();
        return bad_request("`messages` must be a list");
    }
    if let Some(unknown) = unknown_field(request).filter(|_| behaviour.strict) {
        watch.served();
        return bad_request(&format!(
            "Unrecognized request argument supplied: {unknown}"
        ));
    }
    if behaviour.html {
        watch.served();
        return Html("<!doctype html><title>Welcome</title>").into_response();
    }
    if behaviour.garbage {
        watch.served();
        return event_stream(Body::from(GARBAGE));
    }
    let answer = Answer::to(request, behaviour);
    let streams = request["stream"].as_bool().unwrap_or_default() && !behaviour.whole;
    if streams {
        let body = AnswerBody::new(admitted, answer, shared.end.clone());
        return event_stream(Body::from_stream(body));
    }
    tokio::time::sleep(behaviour.delay).await;
    watch.served();
    Json(whole(&admitted, &answer)).into_response()
}

fn unknown_field(request: &Value) -> Option<&str> {
    let mut names = request.as_object()?.keys();
    names
        .find(|it| !KNOWN.contains(&it.as_str()))
        .map(String::as_str)
}

fn event_stream(body: Body) -> Response {
    let mut response = body.into_response();
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn whole(admitted: &Admitted, answer: &Answer) -> Value {
    let finish = admitted.behaviour.finish.as_deref().unwrap_or("stop");
    let mut reply = json!({
        "id": ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": admitted.model,
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer.whole()},
            "finish_reason": finish,
        }],
    });
    if !admitted.behaviour.no_usage {
        reply["usage"] = usage(answer);
    }
    reply
}

/// What an answer took.
pub(crate) fn usage(answer: &Answer) -> Value {
    let (prompt, completion) = (answer.prompt_tokens, answer.len());
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    })
}
