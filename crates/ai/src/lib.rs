//! AI providers behind one normalised stream, and embeddings.
//!
//! Everything about a provider that a chat needs to know is here: its address, the shape of its
//! requests, the shape of its stream, and what its errors mean. A caller sees one [`ChatRequest`],
//! one [`AnswerStream`] and one set of [`AiErrorCode`]s whoever answers.
//!
//! - [`Ai`] sends requests, always through `stoa_outbound`, with a deadline on every step and a
//!   bound on every buffer ([`Limits`]).
//! - `provider` is the table of known providers: a default address and the wire format.
//! - `wire` holds one file or folder per wire format, which only encodes and decodes.
//! - [`passages`] answers without any model by quoting what retrieval found.
//!
//! Deliberately absent: retries and the choice among several configurations. Both need to know
//! what else the client has configured; [`AiError::retryable`] and [`AiError::falls_through`] say
//! what makes sense.

mod answer;
mod client;
mod embeddings;
mod error;
mod limits;
mod models;
pub mod passages;
mod provider;
mod redact;
mod request;
mod sse;
mod transport;
mod wire;

pub use answer::{AnswerEvent, AnswerStream, Completion, Usage};
pub use client::Ai;
pub use error::{AiError, AiErrorCode};
pub use limits::Limits;
pub use provider::default_base_url;
pub use request::{ChatRequest, Endpoint, Turn};
