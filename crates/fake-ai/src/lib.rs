//! A fake AI provider over real sockets, for tests and benchmarks.
//!
//! It speaks OpenAI's `POST /v1/chat/completions` (streamed and whole), `POST /v1/embeddings` and
//! `GET /v1/models`; the same as Azure has it, in both forms, under `/openai`; Anthropic's
//! `POST /v1/messages`; and Gemini's `generateContent`, `streamGenerateContent` and
//! `batchEmbedContents` under `/v1beta`. Each refuses what its original refuses and wants its key
//! in its own header. Ollama serves OpenAI's format under `/v1` and is reached by that here as
//! well, so its own `/api/chat` is not faked. Answers and vectors depend on nothing but the request. A
//! [`Behaviour`] makes it slow, wrong, or break in the middle; it is set for the whole server
//! ([`FakeAi::set_behaviour`], `PUT /_fake/behaviour`), for a request (header `x-fake`), or by the
//! model's name (`anything-fake:delay=200,error=429`), where the later named wins. As a program it
//! is `cargo run -p stoa-fake-ai -- --listen 127.0.0.1:8090`.
//!
//! What was asked, with which key, and whether the client hung up before the end, is kept:
//! [`FakeAi::requests`], `GET /_fake/requests`.

mod answer;
mod behaviour;
mod body;
mod chat;
mod embeddings;
mod failure;
mod format;
mod models;
mod record;
mod server;

pub use behaviour::{Behaviour, BehaviourError};
pub use record::{Outcome, RequestRecord};
pub use server::FakeAi;
