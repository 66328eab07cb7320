//! What is asked of a provider, and where.

use secrecy::SecretString;
use stoa_domain::{MessageRole, Provider};
use url::Url;

use crate::tools::{Tool, ToolCall, ToolChoice, ToolResult};

/// One call for an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The provider's name of the model.
    pub model: String,
    /// The system prompt: instructions and passages. Empty means none is sent.
    pub system: String,
    /// The conversation so far, oldest first, ending with what is to be answered.
    pub messages: Vec<Message>,
    /// The sampling temperature; absent, the model's own. Some models refuse any other.
    pub temperature: Option<f32>,
    /// At most so many tokens of answer; absent, the model's own limit, or a common one where the
    /// provider insists on being told.
    pub max_output_tokens: Option<u32>,
    /// The tools that the model may ask for; see [`crate::tools`].
    pub tools: Vec<Tool>,
    /// Whether it may, or must. Counts only where there are tools.
    pub tool_choice: ToolChoice,
}

impl ChatRequest {
    /// How many tool calls the conversation has: ids that are made up count on from there.
    pub(crate) fn earlier_calls(&self) -> usize {
        let calls = self.messages.iter().map(|it| match it {
            Message::Called { calls, .. } => calls.len(),
            Message::Said(_) | Message::Returned(_) => 0,
        });
        calls.sum()
    }
}

/// One message of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Somebody said something.
    Said(Turn),
    /// The model asked for tools, perhaps after saying something.
    Called {
        /// What it said before.
        content: String,
        /// Every call of that answer.
        calls: Vec<ToolCall>,
    },
    /// A tool gave this. There is one for each call, directly after it.
    Returned(ToolResult),
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who wrote it. A human agent's words are the assistant's to a model.
    pub role: MessageRole,
    /// What was written.
    pub content: String,
}

impl Message {
    /// Somebody said something.
    #[must_use]
    pub fn said(role: MessageRole, content: impl Into<String>) -> Self {
        Self::Said(Turn {
            role,
            content: content.into(),
        })
    }
}

impl From<Turn> for Message {
    fn from(turn: Turn) -> Self {
        Self::Said(turn)
    }
}

/// Whom to ask, and with which key. It has no `Debug` beyond the key's own redaction.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Whose AI it is; this decides the wire format and the default address.
    pub provider: Provider,
    /// Where the API is, as the provider's own client libraries take it: the path of the call is
    /// appended to it, so a server that serves `/v1/chat/completions` has a base URL ending in
    /// `/v1`. A trailing slash does not matter, a pasted `/chat/completions` or `/messages` at the
    /// end is taken off, and where the path is empty the provider's usual one is tried after a
    /// 404. Absent, the provider's own address; `openai_compatible` and `azure_openai` have none.
    ///
    /// Azure: `https://NAME.openai.azure.com` or `…/openai/v1` means its newer form, in which the
    /// model is the deployment. With `?api-version=…` it means the older one, with the deployment
    /// in the path; an address copied from Azure's portal works as it is.
    pub base_url: Option<Url>,
    /// The API key; local servers need none.
    pub api_key: Option<SecretString>,
}
