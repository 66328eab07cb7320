//! How long and how much an answer may be.

use std::time::Duration;

/// Deadlines and sizes. The defaults are the product's rules; tests shorten them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From sending a request to the first token of its answer. Comments that only keep the
    /// connection awake do not count as one.
    pub first_token: Duration,
    /// From one token to the next.
    pub between_tokens: Duration,
    /// A whole streamed answer; what has arrived by then is kept, as if the model had reached its
    /// own limit.
    pub answer: Duration,
    /// A whole answer that is not streamed, or one batch of embeddings.
    pub single_reply: Duration,
    /// How long usage and the end are waited for once the model has said why it finished.
    pub after_finish: Duration,
    /// Bytes of text in an answer; more is cut off, as if the model had reached its own limit.
    pub answer_bytes: usize,
    /// Bytes of arguments in all tool calls of an answer; more is an error, since half a call is
    /// none.
    pub call_bytes: usize,
    /// Bytes of one line of an event stream: room for a whole answer in one token, as JSON escapes
    /// it.
    pub line_bytes: usize,
    /// Bytes of all data lines of one event.
    pub event_bytes: usize,
    /// Bytes of a reply that is not a stream.
    pub reply_bytes: usize,
    /// Bytes that are read of an error's body; the rest is not looked at.
    pub error_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(30),
            between_tokens: Duration::from_secs(30),
            answer: Duration::from_secs(600),
            single_reply: Duration::from_secs(60),
            after_finish: Duration::from_secs(5),
            answer_bytes: 1 << 20,
            call_bytes: 256 << 10,
            line_bytes: 4 << 20,
            event_bytes: 4 << 20,
            reply_bytes: 16 << 20,
            error_bytes: 16 << 10,
        }
    }
}
