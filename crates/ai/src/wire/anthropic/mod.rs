//! Anthropic's messages.
//!
//! Source: Anthropic's API reference, "Messages", "Streaming messages", "Tool use", "Errors" and
//! "List models". Event types, block types and stop reasons are added without notice; what is not
//! known is skipped or kept as its own word.

mod decode;
mod models;
mod request;

use crate::error::{AiError, AiErrorCode};
use crate::wire::failures;

pub(crate) use self::decode::{decode_event, decode_whole};
pub(crate) use self::models::{decode_models, models_call};
pub(crate) use self::request::chat_call;

/// In what its models differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The newer ones refuse any temperature.
    pub(crate) without_temperature: bool,
}

impl Dialect {
    /// The dialect of a model that refused a request for a field that it does not have.
    pub(crate) fn amended(self, error: &AiError) -> Option<Self> {
        let said = error.provider_message()?;
        let is_refused = error.code() == AiErrorCode::Rejected
            && !self.without_temperature
            && failures::refuses_temperature(said);
        is_refused.then_some(Self {
            without_temperature: true,
        })
    }
}
