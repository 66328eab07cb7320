//! AI providers behind one normalised stream, and embeddings.
//!
//! Everything about a provider that a chat needs to know is here: its address, the shape of its
//! requests, the shape of its stream, and what its errors mean. A caller sees one [`ChatRequest`],
//! one [`AnswerStream`] and one set of [`AiErrorCode`]s whoever answers.
//!
//! - [`Ai`] sends requests, always through `stoa_outbound`, with a deadline on every step and a
//!   bound on every buffer ([`Limits`]).
//! - `provider` is the table of known providers: a default address and the wire format.
//! - `wire` holds one folder per wire format, which only encodes and decodes.
//! - [`tools`] are what a model may ask to be called, and how a loop over them goes.
//! - `breaker` spares visitors the wait for what failed again and again.
//! - [`prices`] and [`tokens`] say what models cost, how much they read, and how long a text is.
//! - [`passages`] answers without any model by quoting what retrieval found.
//!
//! Deliberately absent: retries, the choice among several configurations, and running tools. All
//! need to know what else the client has configured; [`AiError::retryable`] and
//! [`AiError::falls_through`] say what makes sense.

mod answer;
mod breaker;
mod client;
mod completion;
mod embeddings;
mod error;
mod limits;
mod models;
pub mod passages;
pub mod prices;
mod provider;
mod redact;
mod request;
pub mod tokens;
pub mod tools;
mod transport;
mod wire;

pub use answer::{AnswerEvent, AnswerStream, Completion, Ending, Usage};
pub use client::Ai;
pub use embeddings::EmbeddingRequest;
pub use error::{AiError, AiErrorCode};
pub use limits::Limits;
pub use models::{ModelEntry, ModelKind};
pub use provider::default_base_url;
pub use request::{AnswerFormat, ChatRequest, Endpoint, Message, Turn};
pub use tools::{Tool, ToolCall, ToolChoice, ToolResult};
