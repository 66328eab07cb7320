//! Reading what a server says to a request: JSON, or events among which the answer is one.

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use stoa_outbound::{Fetched, SseDecoder};

use super::error::McpError;
use super::message::{self, Message};
use super::session::{ASIDE, Failure, REPLY_BYTES, Session, Way, failed};

/// The most events of one reply.
const MOST_EVENTS: usize = 1_000;
/// How many of a server's own requests are answered while it works at one of ours.
const MOST_ANSWERS: usize = 8;

impl Session {
    pub(super) async fn read(
        &mut self,
        fetched: Fetched,
        id: u64,
    ) -> Result<Map<String, Value>, Failure> {
        let status = fetched.status();
        let is_open = matches!(&self.way, Way::Opened { id: Some(_), .. });
        match status {
            StatusCode::NOT_FOUND if is_open => return Err(McpError::SessionLost.into()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(failed(status).into()),
            _ if status.is_redirection() => return Err(McpError::Redirected.into()),
            _ => {}
        }
        match fetched.media_type().as_str() {
            "application/json" => self.read_json(fetched, id).await,
            "text/event-stream" if status.is_success() => self.read_events(fetched, id).await,
            _ if !status.is_success() => Err(failed(status).into()),
            _ => Err(protocol(
                "it answers with something else than JSON or events",
            )),
        }
    }

    async fn read_json(
        &mut self,
        fetched: Fetched,
        id: u64,
    ) -> Result<Map<String, Value>, Failure> {
        let status = fetched.status();
        let body = fetched.whole().await.map_err(McpError::from)?;
        self.count(body.len());
        let value = match serde_json::from_slice(&body) {
            Ok(value) => value,
            Err(_) if !status.is_success() => return Err(failed(status).into()),
            Err(_) => return Err(protocol("it announces JSON and sends something else")),
        };
        // The version of March 2025 may gather messages in a list.
        let messages = match value {
            Value::Array(messages) => messages,
            message => vec![message],
        };
        for value in messages {
            if let Some(answer) = Message::read(value).and_then(|it| answer_to(id, it, status)) {
                return answer;
            }
        }
        match status.is_success() {
            true => Err(protocol("the request is not answered")),
            false => Err(failed(status).into()),
        }
    }

    async fn read_events(
        &mut self,
        mut fetched: Fetched,
        id: u64,
    ) -> Result<Map<String, Value>, Failure> {
        let status = fetched.status();
        let mut decoder = SseDecoder::new(REPLY_BYTES, REPLY_BYTES);
        let (mut events, mut seen, mut answers) = (Vec::new(), 0, 0);
        loop {
            let piece = fetched.chunk().await.map_err(McpError::from)?;
            let ended = piece.is_none();
            match piece {
                Some(piece) => {
                    self.count(piece.len());
                    decoder.push(&piece, &mut events).map_err(McpError::from)?;
                }
                None => events.extend(decoder.remainder()),
            }
            for event in events.drain(..) {
                seen += 1;
                if seen > MOST_EVENTS {
                    return Err(protocol("there is no end of events"));
                }
                let other = event.kind.is_some_and(|it| it != "message");
                // The first event may be empty: it would name a place to come back to.
                if other || event.data.is_empty() {
                    continue;
                }
                let value = serde_json::from_str(&event.data)
                    .map_err(|_| protocol("an event is no JSON"))?;
                match Message::read(value) {
                    Some(Message::Request { id, method }) if answers < MOST_ANSWERS => {
                        answers += 1;
                        self.answer(&id, &method).await;
                    }
                    Some(message) => {
                        if let Some(answer) = answer_to(id, message, status) {
                            return answer;
                        }
                    }
                    None => return Err(protocol("an event is no message")),
                }
            }
            if ended {
                return Err(protocol("the events end without an answer"));
            }
        }
    }

    /// Answers a request of the server's. If that does not reach it, it is for the server to go on
    /// without, or not to answer ours.
    async fn answer(&self, id: &Value, method: &str) {
        if matches!(self.way, Way::Stateless) {
            return;
        }
        let body = message::answer(id, method);
        let sent = self.post(&body, HeaderMap::new(), ASIDE.min(self.left()), 0);
        if let Err(error) = sent.await {
            tracing::debug!(
                code = error.code(),
                "a request of an MCP server was not answered"
            );
        }
    }
}

/// What an answer says to the request `id`; `None` where it is not the answer.
fn answer_to(
    id: u64,
    message: Message,
    status: StatusCode,
) -> Option<Result<Map<String, Value>, Failure>> {
    match message {
        Message::Result { id: of, result } if of == id && status.is_success() => Some(Ok(result)),
        // Whoever could not read a request does not know its number.
        Message::Error { id: of, error } if of == id || of.is_null() => {
            Some(Err(Failure::Rpc(status, error)))
        }
        _ => None,
    }
}

fn protocol(reason: &'static str) -> Failure {
    McpError::Protocol(reason).into()
}
