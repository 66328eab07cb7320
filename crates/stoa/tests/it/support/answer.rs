//! Reading an answer's stream as a browser would.

use futures_util::StreamExt as _;
use reqwest::Response;
use serde_json::Value;

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvent {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its data; null for `[DONE]`.
    pub data: Value,
}

impl StreamEvent {
    /// Its `type`; `[DONE]` for the last.
    pub fn kind(&self) -> &str {
        self.data["type"].as_str().unwrap_or("[DONE]")
    }

    fn parse(block: &str) -> Option<Self> {
        let field = |name: &str| {
            block.lines().find_map(|line| {
                line.strip_prefix(name)
                    .map(|value| value.trim_start().to_owned())
            })
        };
        let data = field("data:")?;
        let data = if data == "[DONE]" {
            Value::Null
        } else {
            serde_json::from_str(&data).expect("JSON data")
        };
        Some(Self {
            id: field("id:"),
            data,
        })
    }
}

/// Reads a stream to its end, or until `enough` says so; then the connection is dropped.
pub async fn read_stream(
    response: Response,
    mut enough: impl FnMut(&[StreamEvent]) -> bool,
) -> Vec<StreamEvent> {
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut bytes = response.bytes_stream();
    let (mut buffer, mut events) = (Vec::new(), Vec::new());
    while let Some(chunk) = bytes.next().await {
        buffer.extend_from_slice(&chunk.expect("a chunk"));
        while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = buffer.drain(..end + 2).collect();
            events.extend(StreamEvent::parse(
                std::str::from_utf8(&block).expect("UTF-8"),
            ));
        }
        if enough(&events) {
            break;
        }
    }
    events
}
