//! An answer on the wire: the AI SDK's UI message stream, version 1, over server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::Serialize;
use stoa_app::chat::event::{Event, EventId, Source};
use stoa_app::chat::live::Listener;
use stoa_domain::{DocumentId, FinishReason, MessageId, SessionId};

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
    let Some(payload) = Payload::of(event) else {
        return Bytes::from_static(b"data: [DONE]\n\n");
    };
    let mut frame = format!("id: {id}\ndata: ").into_bytes();
    if let Err(error) = serde_json::to_writer(&mut frame, &payload) {
        tracing::error!(%error, "an event could not be written as JSON");
    }
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}

/// An event in the protocol's own shape and names.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Payload<'a> {
    Start {
        message_id: MessageId,
        message_metadata: Metadata,
    },
    SourceDocument {
        source_id: &'a str,
        media_type: &'a str,
        title: &'a str,
        provider_metadata: ProviderMetadata<'a>,
    },
    TextStart {
        id: &'static str,
    },
    TextDelta {
        id: &'static str,
        delta: &'a str,
    },
    TextEnd {
        id: &'static str,
    },
    DataUsage {
        data: UsageData<'a>,
    },
    Finish,
    Error {
        error_text: &'a str,
        code: &'a str,
        retryable: bool,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    session_id: SessionId,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct ProviderMetadata<'a> {
    stoa: SourceMetadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceMetadata<'a> {
    document_id: DocumentId,
    url: Option<&'a str>,
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageData<'a> {
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    model: &'a str,
    finish_reason: FinishReason,
}

impl<'a> Payload<'a> {
    /// The event's payload; `None` for the end, which is no JSON.
    fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::Start {
                message,
                session,
                created_at,
            } => Self::Start {
                message_id: *message,
                message_metadata: Metadata {
                    session_id: *session,
                    created_at: *created_at,
                },
            },
            Event::Source(source) => Self::source(source),
            Event::TextStart => Self::TextStart { id: TEXT_PART },
            Event::TextDelta(delta) => Self::TextDelta {
                id: TEXT_PART,
                delta,
            },
            Event::TextEnd => Self::TextEnd { id: TEXT_PART },
            Event::Usage(usage) => Self::DataUsage {
                data: UsageData {
                    input_tokens: usage.input_tokens,
                    output_tokens: usage.output_tokens,
                    model: &usage.model,
                    finish_reason: usage.finish_reason,
                },
            },
            Event::Finish => Self::Finish,
            Event::Error(failure) => Self::Error {
                error_text: &failure.text,
                code: failure.code,
                retryable: failure.retryable,
            },
            Event::Done => return None,
        })
    }

    fn source(source: &'a Source) -> Self {
        let stoa = SourceMetadata {
            document_id: source.document_id,
            url: source.url.as_deref(),
            text: &source.text,
        };
        Self::SourceDocument {
            source_id: &source.source_id,
            media_type: &source.media_type,
            title: &source.title,
            provider_metadata: ProviderMetadata { stoa },
        }
    }
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
            "id: t9\ndata: {\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\"a\\nb \\\"c\\\" ü\"}\n\n"
        );
        assert_eq!(
            text(EventId::Tail(3), &Event::Finish),
            "id: e3\ndata: {\"type\":\"finish\"}\n\n"
        );
        assert_eq!(text(EventId::Tail(4), &Event::Done), "data: [DONE]\n\n");
    }
}
