//! Google's `generateContent`, as Gemini speaks it.
//!
//! Source: the Gemini API reference, "Generating content", "Function calling", "Embeddings",
//! "Models" and "Error codes". A stream has no event that ends it: it ends where the reply does,
//! after a finish reason.

mod decode;
mod embeddings;
mod models;
mod request;

pub(crate) use self::decode::{decode_event, decode_whole};
pub(crate) use self::embeddings::{decode_embeddings, embeddings_call};
pub(crate) use self::models::{decode_models, models_call};
pub(crate) use self::request::chat_call;
