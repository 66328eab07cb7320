//! An answer on the wire: the AI SDK's UI message stream, version 1, over server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};
use stoa_app::chat::event::{Event, EventId, Source};
use stoa_app::chat::live::Listener;

/// How often a comment line keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The one text part of an answer.
const TEXT_PART: &str = "t";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    ),
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    ),
    (
        HeaderName::from_static("x-vercel-ai-ui-message-stream"),
        HeaderValue::from_static("v1"),
    ),
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
];

/// The response that follows an answer to its end.
pub(crate) fn response(listener: Listener) -> Response {
    let frames = stream::unfold(listener, |mut listener| async move {
        let frame = next_frame(&mut listener).await?;
        Some((Ok::<_, Infallible>(frame), listener))
    });
    let mut response = Response::new(Body::from_stream(frames));
    response.headers_mut().extend(HEADERS);
    response
}

async fn next_frame(listener: &mut Listener) -> Option<Bytes> {
    match tokio::time::timeout(KEEP_ALIVE, listener.next()).await {
        Ok(Some((id, event))) => Some(frame(id, &event)),
        Ok(None) => None,
        Err(_) => Some(Bytes::from_static(b": keep-alive\n\n")),
    }
}

/// One event. JSON has no line breaks of its own, so one `data:` line is enough.
fn frame(id: EventId, event: &Event) -> Bytes {
    if matches!(event, Event::Done) {
        return Bytes::from_static(b"data: [DONE]\n\n");
    }
    Bytes::from(format!("id: {id}\ndata: {}\n\n", payload(event)))
}

fn payload(event: &Event) -> Value {
    match event {
        Event::Start {
            message,
            session,
            created_at,
        } => json!({
            "type": "start",
            "messageId": message,
            "messageMetadata": { "sessionId": session, "createdAt": created_at },
        }),
        Event::Source(source) => source_payload(source),
        Event::TextStart => json!({ "type": "text-start", "id": TEXT_PART }),
        Event::TextDelta(delta) => json!({ "type": "text-delta", "id": TEXT_PART, "delta": delta }),
        Event::TextEnd => json!({ "type": "text-end", "id": TEXT_PART }),
        Event::Usage(usage) => json!({
            "type": "data-usage",
            "data": {
                "inputTokens": usage.input_tokens,
                "outputTokens": usage.output_tokens,
                "model": usage.model,
                "finishReason": usage.finish_reason,
            },
        }),
        Event::Finish => json!({ "type": "finish" }),
        Event::Error(failure) => json!({
            "type": "error",
            "errorText": failure.text,
            "code": failure.code,
            "retryable": failure.retryable,
        }),
        Event::Done => Value::Null,
    }
}

fn source_payload(source: &Source) -> Value {
    json!({
        "type": "source-document",
        "sourceId": source.source_id,
        "mediaType": source.media_type,
        "title": source.title,
        "providerMetadata": {
            "stoa": { "documentId": source.document_id, "url": source.url, "text": source.text },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: EventId, event: &Event) -> String {
        String::from_utf8(frame(id, event).to_vec()).unwrap()
    }

    #[test]
    fn every_event_but_the_last_carries_its_id() {
        let delta = Event::TextDelta("a\nb \"c\" ü".into());
        assert_eq!(
            text(EventId::Text(9), &delta),
            "id: t9\ndata: {\"delta\":\"a\\nb \\\"c\\\" ü\",\"id\":\"t\",\"type\":\"text-delta\"}\n\n"
        );
        assert_eq!(
            text(EventId::Tail(3), &Event::Finish),
            "id: e3\ndata: {\"type\":\"finish\"}\n\n"
        );
        assert_eq!(text(EventId::Tail(4), &Event::Done), "data: [DONE]\n\n");
    }
}
