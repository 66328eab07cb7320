//! Reading an answer's stream as a browser would.

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

/// A stream's events, one by one as they come.
pub struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Events {
    /// The events of an answer.
    pub fn of(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    /// The next event, `None` after the last, and an error where the connection broke.
    pub async fn next(&mut self) -> Result<Option<StreamEvent>, reqwest::Error> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let block = std::str::from_utf8(&block).expect("UTF-8");
                if let Some(event) = StreamEvent::parse(block) {
                    return Ok(Some(event));
                }
            }
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Reads a stream to its end, or until `enough` says so; then the connection is dropped.
pub async fn read_stream(
    response: Response,
    mut enough: impl FnMut(&[StreamEvent]) -> bool,
) -> Vec<StreamEvent> {
    let mut stream = Events::of(response);
    let mut events = Vec::new();
    while let Some(event) = stream.next().await.expect("a whole stream") {
        events.push(event);
        if enough(&events) {
            break;
        }
    }
    events
}

/// The words of an answer's stream.
pub fn said(events: &[StreamEvent]) -> String {
    let deltas = events.iter().filter_map(|it| it.data["delta"].as_str());
    deltas.collect()
}
