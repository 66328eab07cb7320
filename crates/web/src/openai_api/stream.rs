//! A completion on the wire: OpenAI's chunks over server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use stoa_app::completions::{CompletionError, End, Piece, Running};

use super::calls::CallDelta;
use super::completion::{Drawn, UsageView, finish_reason, id};
use super::error::OpenAiError;

/// How often a comment line keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    ),
    (
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
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

/// The response that follows a completion to its end. Dropping it hangs up.
pub(crate) fn response(running: Running, with_usage: bool) -> Response {
    let frames = Frames::new(running, with_usage);
    let body = stream::unfold(frames, |mut frames| async move {
        let frame = frames.next().await?;
        Some((Ok::<_, Infallible>(frame), frames))
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().extend(HEADERS);
    response
}

struct Frames {
    running: Running,
    with_usage: bool,
    id: String,
    /// What was said so far.
    content: String,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

/// One chunk. `usage` is null in all but the last where it was asked for, and absent otherwise.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<UsageView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stoa: Option<&'a Drawn>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stoa: Option<&'a Drawn>,
}

impl Frames {
    fn new(running: Running, with_usage: bool) -> Self {
        let mut frames = Self {
            id: id(&running),
            running,
            with_usage,
            content: String::new(),
            ready: VecDeque::new(),
            is_over: false,
        };
        let first = Delta {
            role: Some("assistant"),
            content: Some(""),
            ..Delta::default()
        };
        frames.push_choice(first, None, None);
        frames
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.is_over {
                return None;
            }
            match tokio::time::timeout(KEEP_ALIVE, self.running.next()).await {
                Err(_) => return Some(Bytes::from_static(b": keep-alive\n\n")),
                Ok(Some(piece)) => self.push(piece),
                Ok(None) => self.push_failure(CompletionError::Restarting),
            }
        }
    }

    /// What a piece is on the wire, which may be nothing.
    fn push(&mut self, piece: Piece) {
        match piece {
            Piece::Text(text) => {
                self.content.push_str(&text);
                let delta = Delta {
                    content: Some(&text),
                    ..Delta::default()
                };
                self.push_choice(delta, None, None);
            }
            Piece::CallStart { index, id, name } => {
                self.push_call(CallDelta::start(index, id, name));
            }
            Piece::CallArguments { index, text } => {
                self.push_call(CallDelta::arguments(index, text));
            }
            Piece::Call { index, call } => {
                if let Some(rest) = CallDelta::rest(index, &call) {
                    self.push_call(rest);
                }
            }
            Piece::End(end) => self.push_end(end),
            Piece::Failed(error) => self.push_failure(error),
        }
    }

    fn push_call(&mut self, call: CallDelta) {
        let delta = Delta {
            tool_calls: Some([call]),
            ..Delta::default()
        };
        self.push_choice(delta, None, None);
    }

    /// The end of the answer, what it took where that was asked for, and the end of the stream.
    fn push_end(&mut self, end: End) {
        let drawn = end.drawn.map(|drawn| Drawn::of(drawn, &self.content));
        let delta = Delta {
            stoa: drawn.as_ref(),
            ..Delta::default()
        };
        self.push_choice(delta, Some(finish_reason(end.reason)), drawn.as_ref());
        if self.with_usage {
            let chunk = Chunk {
                choices: Vec::new(),
                usage: Some(Some(end.tokens.into())),
                ..self.chunk()
            };
            let frame = frame(&chunk);
            self.ready.push_back(frame);
        }
        self.ready
            .push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        self.is_over = true;
    }

    /// An error in the middle, as the client libraries know it. Nothing follows, not even `[DONE]`:
    /// the answer is not complete.
    fn push_failure(&mut self, error: CompletionError) {
        self.ready
            .push_back(frame(&OpenAiError::from(error).document()));
        self.is_over = true;
    }

    fn push_choice(
        &mut self,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        stoa: Option<&Drawn>,
    ) {
        let choice = Choice {
            index: 0,
            delta,
            logprobs: None,
            finish_reason,
        };
        let chunk = Chunk {
            choices: vec![choice],
            stoa,
            ..self.chunk()
        };
        let frame = frame(&chunk);
        self.ready.push_back(frame);
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.running.created_at.timestamp(),
            model: &self.running.model,
            choices: Vec::new(),
            usage: self.with_usage.then_some(None),
            stoa: None,
        }
    }
}

fn frame(payload: &impl Serialize) -> Bytes {
    let mut frame = b"data: ".to_vec();
    if let Err(error) = serde_json::to_writer(&mut frame, payload) {
        tracing::error!(%error, "a chunk could not be written as JSON");
    }
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}
