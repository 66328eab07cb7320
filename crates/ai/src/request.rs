//! What is asked of a provider, and where.

use secrecy::SecretString;
use serde_json::Value;
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
    /// Whether it may ask for one call at most. Where the provider cannot be told so, or does not
    /// heed it, there may be several all the same.
    pub one_call: bool,
    /// What the answer is to be, where that is not words for people.
    pub format: Option<AnswerFormat>,
}

/// What an answer is to be.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerFormat {
    /// A JSON object, whichever.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// Its name: letters, digits, `_` and `-`, at most 64.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether the provider is to hold the model to it, where it can leave that open.
        strict: bool,
    },
}

/// What ids that are made up begin with, before a number.
pub(crate) const MADE_UP_ID: &str = "call_";

impl ChatRequest {
    /// The first number for ids that are made up. They count on from the calls that the
    /// conversation has, and from the numbers of those, since its beginning may be left out.
    pub(crate) fn next_call(&self) -> usize {
        let calls = || self.messages.iter().flat_map(Message::calls);
        let number = |call: &ToolCall| made_up_number(&call.id);
        let after_last = calls().filter_map(number).max().map_or(0, |it| it + 1);
        after_last.max(calls().count())
    }
}

/// The number of an id that was made up.
pub(crate) fn made_up_number(id: &str) -> Option<usize> {
    let digits = id.strip_prefix(MADE_UP_ID)?;
    let is_number = digits.len() <= 9 && digits.bytes().all(|it| it.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
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
    /// The calls that it asks for.
    pub(crate) fn calls(&self) -> &[ToolCall] {
        match self {
            Self::Called { calls, .. } => calls,
            Self::Said(_) | Self::Returned(_) => &[],
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_made_up_count_on_though_the_beginning_is_left_out() {
        let called = |ids: &[&str]| Message::Called {
            content: String::new(),
            calls: ids
                .iter()
                .map(|id| ToolCall {
                    id: (*id).to_owned(),
                    name: "search".to_owned(),
                    arguments: String::new(),
                    signature: None,
                })
                .collect(),
        };
        for (ids, next) in [
            (&[][..], 0),
            (&["a", "b"], 2),
            (&["call_0", "call_1"], 2),
            (&["call_7"], 8),
            (&["call_x", "call_99999999999999999999", "call_"], 3),
        ] {
            let request = ChatRequest {
                messages: vec![called(ids)],
                ..ChatRequest::default()
            };
            assert_eq!(request.next_call(), next, "{ids:?}");
        }
    }
}
