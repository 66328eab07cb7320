//! Anthropic's messages.
//!
//! Source: Anthropic's API reference, "Messages", "Streaming messages", "Tool use", "Errors" and
//! "List models". Event types, block types and stop reasons are added without notice; what is not
//! known is skipped or kept as its own word.

mod decode;
mod models;
mod request;

pub(crate) use self::decode::{decode_event, decode_whole};
pub(crate) use self::models::{decode_models, models_call};
pub(crate) use self::request::chat_call;
