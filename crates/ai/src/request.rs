//! What is asked of a provider, and where.

use secrecy::SecretString;
use stoa_domain::{MessageRole, Provider};
use url::Url;

/// One call for an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The provider's name of the model.
    pub model: String,
    /// The system prompt: instructions and passages. Empty means none is sent.
    pub system: String,
    /// The conversation so far, oldest first, ending with what is to be answered.
    pub messages: Vec<Turn>,
    /// The sampling temperature; absent, the model's own. Some models refuse any other.
    pub temperature: Option<f32>,
    /// At most so many tokens of answer; absent, the model's own limit.
    pub max_output_tokens: Option<u32>,
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who wrote it. A human agent's words are the assistant's to a model.
    pub role: MessageRole,
    /// What was written.
    pub content: String,
}

/// Whom to ask, and with which key. It has no `Debug` beyond the key's own redaction.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Whose AI it is; this decides the wire format and the default address.
    pub provider: Provider,
    /// Where the API is, as the provider's own client libraries take it: `/chat/completions` is
    /// appended to it, so a server that serves `/v1/chat/completions` has a base URL ending in
    /// `/v1`. A trailing slash does not matter, a pasted `/chat/completions` at the end is taken
    /// off, and where the path is empty `/v1` is tried after a 404. Absent, the provider's own
    /// address; `openai_compatible` has none.
    pub base_url: Option<Url>,
    /// The API key; local servers need none.
    pub api_key: Option<SecretString>,
}
