//! The figures, one to a file.

pub(crate) mod chats;
pub(crate) mod clients;
mod cost;
pub(crate) mod first_token;
pub(crate) mod memory;
pub(crate) mod migrations;
pub(crate) mod recovery;
pub(crate) mod stop;
pub(crate) mod streams;
pub(crate) mod tokens;

use bytes::Bytes;
use serde_json::json;

/// How many visitors are there at once where there are many.
const AT_ONCE: usize = 64;

/// What every visitor asks, every time.
pub(crate) const QUESTION: &str = "How long may I take to send back boots that do not fit me?";

/// How often things are measured.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    /// Turns of one and the other.
    rounds: usize,
    /// Answers in a turn where they are asked for one by one.
    one_by_one: usize,
    /// Questions in a conversation.
    turns: usize,
    /// Conversations in a turn where the number of answers is measured.
    conversations: usize,
    /// Registered idle instances.
    instances: usize,
    /// Clients with a database of their own that are talked to in turn.
    clients: usize,
    /// Streams that are open at once where their memory is measured.
    streams: usize,
    /// Answers that are stopped.
    stops: usize,
    /// Requests in a turn where requests are counted.
    requests: usize,
}

impl Amount {
    /// What the figures are measured by.
    pub(crate) const FULL: Self = Self {
        rounds: 6,
        one_by_one: 30,
        turns: 4,
        conversations: 256,
        instances: 1_000,
        clients: 200,
        streams: 2_000,
        stops: 100,
        requests: 4_000,
    };
    /// What shows that it works.
    pub(crate) const SMOKE: Self = Self {
        rounds: 1,
        one_by_one: 3,
        turns: 2,
        conversations: 64,
        instances: 20,
        clients: 8,
        streams: 40,
        stops: 4,
        requests: 128,
    };
}

/// The question as Stoa and its counterpart take it.
pub(crate) fn question() -> Bytes {
    Bytes::from(json!({ "content": QUESTION }).to_string())
}
