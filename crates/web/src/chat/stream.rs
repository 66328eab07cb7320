//! An answer on the wire: the AI SDK's UI message stream, version 1, over server-sent events.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use stoa_app::chat::event::{Event, EventId, Source};
use stoa_app::chat::live::Listener;
use stoa_app::chat::step::{CallNumber, Step, TextPart};
use stoa_domain::{DocumentId, FinishReason, MessageId, SessionId, ToolCallId};

/// How often a comment line keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

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
    let mut frame = format!("id: {id}\ndata: ").into_bytes();
    let Some(payload) = Payload::of(event) else {
        frame.extend_from_slice(b"[DONE]\n\n");
        return Bytes::from(frame);
    };
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
    DataNotice {
        data: NoticeData,
    },
    TextStart {
        id: Shown<TextPart>,
    },
    TextDelta {
        id: Shown<TextPart>,
        delta: &'a str,
    },
    TextEnd {
        id: Shown<TextPart>,
    },
    ToolInputStart {
        tool_call_id: Shown<CallNumber>,
        tool_name: &'a str,
    },
    ToolInputAvailable {
        tool_call_id: Shown<CallNumber>,
        tool_name: &'a str,
        input: &'a Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        provider_metadata: Option<CallMetadata>,
    },
    ToolApprovalRequest {
        approval_id: ToolCallId,
        tool_call_id: Shown<CallNumber>,
        approval_descriptor: ApprovalDescriptor<'a>,
    },
    ToolOutputAvailable {
        tool_call_id: Shown<CallNumber>,
        output: &'a Value,
    },
    ToolOutputError {
        tool_call_id: Shown<CallNumber>,
        error_text: &'a str,
    },
    ToolOutputDenied {
        tool_call_id: Shown<CallNumber>,
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

/// What the visitor is told of a call beside its tool and arguments.
#[derive(Serialize)]
struct ApprovalDescriptor<'a> {
    host: &'a str,
}

/// What is known of a call that the protocol has no word for.
#[derive(Serialize)]
struct CallMetadata {
    stoa: CallNote,
}

#[derive(Serialize)]
struct CallNote {
    /// That the visitor said yes.
    approved: bool,
}

/// An id that goes over the wire as it is shown.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoticeData {
    code: &'static str,
    resets_at: Option<DateTime<Utc>>,
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
            Event::Notice(notice) => Self::DataNotice {
                data: NoticeData {
                    code: notice.code,
                    resets_at: notice.resets_at,
                },
            },
            Event::TextStart => Self::TextStart {
                id: Shown(TextPart::FIRST),
            },
            Event::TextDelta(part, delta) => Self::TextDelta {
                id: Shown(*part),
                delta,
            },
            Event::Step(step) => Self::step(step),
            Event::TextEnd(part) => Self::TextEnd { id: Shown(*part) },
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

    fn step(step: &'a Step) -> Self {
        match step {
            Step::TextEnd { part } => Self::TextEnd { id: Shown(*part) },
            Step::TextStart { part } => Self::TextStart { id: Shown(*part) },
            Step::CallStart { call, tool } => Self::ToolInputStart {
                tool_call_id: Shown(*call),
                tool_name: tool,
            },
            Step::CallInput { call, tool, input } => Self::input(*call, tool, input, None),
            // The protocol has no chunk for a yes. Its readers take a call whose input comes again for one
            // that nobody is asked about any more.
            Step::Approved { call, tool, input } => {
                let stoa = CallNote { approved: true };
                Self::input(*call, tool, input, Some(CallMetadata { stoa }))
            }
            Step::Asked {
                call,
                approval,
                host,
            } => Self::ToolApprovalRequest {
                approval_id: *approval,
                tool_call_id: Shown(*call),
                approval_descriptor: ApprovalDescriptor { host },
            },
            Step::Output { call, output } => Self::ToolOutputAvailable {
                tool_call_id: Shown(*call),
                output,
            },
            Step::Failed { call, text } => Self::ToolOutputError {
                tool_call_id: Shown(*call),
                error_text: text,
            },
            Step::Denied { call } => Self::ToolOutputDenied {
                tool_call_id: Shown(*call),
            },
        }
    }

    const fn input(
        call: CallNumber,
        tool_name: &'a str,
        input: &'a Map<String, Value>,
        provider_metadata: Option<CallMetadata>,
    ) -> Self {
        Self::ToolInputAvailable {
            tool_call_id: Shown(call),
            tool_name,
            input,
            provider_metadata,
        }
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

    const fn at(bytes: usize, steps: usize) -> EventId {
        EventId::Text { bytes, steps }
    }

    #[test]
    fn every_event_carries_its_id() {
        let delta = Event::TextDelta(TextPart::FIRST, "a\nb \"c\" ü".into());
        assert_eq!(
            text(at(9, 0), &delta),
            "id: t9\ndata: {\"type\":\"text-delta\",\"id\":\"t\",\"delta\":\"a\\nb \\\"c\\\" ü\"}\n\n"
        );
        assert_eq!(
            text(EventId::Tail(3), &Event::Finish),
            "id: e3\ndata: {\"type\":\"finish\"}\n\n"
        );
        assert_eq!(
            text(EventId::Tail(4), &Event::Done),
            "id: e4\ndata: [DONE]\n\n"
        );
    }

    #[test]
    fn steps_are_the_protocols_tool_chunks() {
        let approval: ToolCallId = "018f0000-0000-7000-8000-000000000001".parse().unwrap();
        let (call, tool) = (CallNumber(1), "find_order".to_owned());
        let input = serde_json::json!({"id": "7"}).as_object().unwrap().clone();
        let second = TextPart::FIRST.next();
        let shapes = [
            (
                Step::TextEnd {
                    part: TextPart::FIRST,
                },
                r#"{"type":"text-end","id":"t"}"#,
            ),
            (
                Step::CallStart {
                    call,
                    tool: tool.clone(),
                },
                r#"{"type":"tool-input-start","toolCallId":"c1","toolName":"find_order"}"#,
            ),
            (
                Step::CallInput {
                    call,
                    tool: tool.clone(),
                    input: input.clone(),
                },
                r#"{"type":"tool-input-available","toolCallId":"c1","toolName":"find_order","input":{"id":"7"}}"#,
            ),
            (
                Step::Asked {
                    call,
                    approval,
                    host: "shop.example".into(),
                },
                r#"{"type":"tool-approval-request","approvalId":"018f0000-0000-7000-8000-000000000001","toolCallId":"c1","approvalDescriptor":{"host":"shop.example"}}"#,
            ),
            (
                Step::Approved { call, tool, input },
                r#"{"type":"tool-input-available","toolCallId":"c1","toolName":"find_order","input":{"id":"7"},"providerMetadata":{"stoa":{"approved":true}}}"#,
            ),
            (
                Step::Output {
                    call,
                    output: "sent".into(),
                },
                r#"{"type":"tool-output-available","toolCallId":"c1","output":"sent"}"#,
            ),
            (
                Step::Failed {
                    call,
                    text: "no".into(),
                },
                r#"{"type":"tool-output-error","toolCallId":"c1","errorText":"no"}"#,
            ),
            (
                Step::Denied { call },
                r#"{"type":"tool-output-denied","toolCallId":"c1"}"#,
            ),
            (
                Step::TextStart { part: second },
                r#"{"type":"text-start","id":"t2"}"#,
            ),
        ];
        for (number, (step, shape)) in shapes.into_iter().enumerate() {
            let steps = number + 1;
            assert_eq!(
                text(at(12, steps), &Event::Step(step)),
                format!("id: t12.{steps}\ndata: {shape}\n\n")
            );
        }
    }
}
