//! Requests for answers, by whichever path.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::answer::Answer;
use crate::body::AnswerBody;
use crate::embeddings;
use crate::failure::bad_request;
use crate::format::Format;
use crate::server::{Admitted, Asked, Shared};

/// The fields that a strict server knows.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "temperature",
    "max_tokens",
    "stream",
    "tools",
    "tool_choice",
];

/// Bytes that are neither text nor an event stream.
const GARBAGE: &[u8] = b"\xff\xfe\x00\x01 {]} \x80 data: \xc3\x28\n\n\r\r\x00data\xf0\x9f";

/// OpenAI's `POST /v1/chat/completions`.
pub(crate) async fn openai(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::new(Format::Openai, "/v1/chat/completions", headers, body);
    answer(&shared, asked, None).await
}

/// Anthropic's `POST /v1/messages`.
pub(crate) async fn anthropic(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::new(Format::Anthropic, "/v1/messages", headers, body);
    answer(&shared, asked, None).await
}

/// Azure's newer form, in which the model is the deployment.
pub(crate) async fn azure(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked::new(Format::Azure, "/openai/v1/chat/completions", headers, body);
    answer(&shared, asked, None).await
}

/// Azure's older form, with the deployment in the path.
pub(crate) async fn azure_deployment(
    State(shared): State<Arc<Shared>>,
    Path(deployment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = "/openai/deployments/{deployment}/chat/completions";
    let asked = Asked::new(Format::Azure, path, headers, body).of_model(deployment);
    answer(&shared, asked, None).await
}

/// Gemini's `POST /v1beta/models/{model}:{method}`.
pub(crate) async fn gemini(
    State(shared): State<Arc<Shared>>,
    Path(called): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // A model's name may have a colon of its own.
    let Some((model, method)) = called.rsplit_once(':') else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let asked = |path| Asked::new(Format::Gemini, path, headers, body).of_model(model.to_owned());
    match method {
        "streamGenerateContent" => {
            let asked = asked("/v1beta/models/{model}:streamGenerateContent");
            answer(&shared, asked, Some(true)).await
        }
        "generateContent" => {
            let asked = asked("/v1beta/models/{model}:generateContent");
            answer(&shared, asked, Some(false)).await
        }
        "batchEmbedContents" => {
            embeddings::gemini(&shared, asked("/v1beta/models/{model}:batchEmbedContents")).await
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Answers. Whether it streams stands in the body, where the path does not say.
async fn answer(shared: &Shared, asked: Asked, streams: Option<bool>) -> Response {
    let (format, headers) = (asked.format, asked.headers.clone());
    let admitted = match shared.admit(asked).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let Admitted {
        behaviour,
        request,
        watch,
        ..
    } = &admitted;
    if let Some(objection) = format.objection(&headers, request) {
        watch.served();
        return bad_request(&objection);
    }
    if let Some(unknown) = unknown_field(request).filter(|_| behaviour.strict) {
        watch.served();
        return bad_request(&format!(
            "Unrecognized request argument supplied: {unknown}"
        ));
    }
    if behaviour.no_temperature && !request["temperature"].is_null() {
        watch.served();
        return bad_request(
            "Unsupported value: 'temperature' does not support this with this model.",
        );
    }
    if behaviour.html {
        watch.served();
        return Html("<!doctype html><title>Welcome</title>").into_response();
    }
    if behaviour.garbage {
        watch.served();
        return event_stream(Body::from(GARBAGE));
    }
    let answer = Answer::to(&format.normal(request), behaviour);
    let asked_to = streams.or(request["stream"].as_bool()).unwrap_or_default();
    if asked_to && !behaviour.whole {
        let body = AnswerBody::new(format, admitted, answer, shared.end.clone());
        return event_stream(Body::from_stream(body));
    }
    tokio::time::sleep(behaviour.delay).await;
    watch.served();
    Json(format.whole(&admitted.model, &answer, behaviour)).into_response()
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
