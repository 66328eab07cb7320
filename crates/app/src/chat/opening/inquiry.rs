//! What is asked: the question with what came before and after it, and what a model may call for it.

use stoa_ai::{Message, Tool, ToolCall, ToolChoice, ToolResult};
use stoa_client_db::messages::Known;

use crate::chat::calling::MOST_ROUNDS;
use crate::chat::prompt::ToolRules;

/// What is asked, and what is known beside the documents.
#[derive(Clone)]
pub(crate) struct Inquiry {
    /// The question, as it is looked for.
    pub(crate) question: String,
    /// What was said before it, oldest first.
    pub(crate) earlier: Vec<Message>,
    /// The question and what follows it, which every prompt has.
    pub(crate) latest: Vec<Message>,
    /// How many rounds of the instance's own tools there were.
    pub(crate) rounds: usize,
    /// What is known of the conversation.
    pub(crate) known: Known,
    /// Whether there may be passages to look for.
    pub(crate) has_passages: bool,
    /// What a program that calls the API adds to the instructions; empty for visitors.
    pub(crate) context: String,
    /// How the answer is to be written, where that differs from the configuration.
    pub(crate) sampling: Sampling,
    /// What the model may ask to be called.
    pub(crate) offer: Offer,
    /// Whether the visitor is asked before a call that changes something is made.
    pub(crate) confirms_writes: bool,
}

/// What a model may ask to be called.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// The tools.
    pub tools: Vec<Tool>,
    /// Whether it may call them, or must.
    pub choice: ToolChoice,
    /// Whether it may ask for one call at a time only.
    pub one_call: bool,
}

impl Offer {
    /// A call is a model's own idea where no tools are offered, or none may be called any more.
    pub(crate) fn may_call(&self) -> bool {
        !self.tools.is_empty() && self.choice != ToolChoice::None
    }
}

impl Inquiry {
    /// What a model said, what it called and what came of that belong to what the next is asked. After
    /// the last round it may call nothing more.
    pub(crate) fn go_on_after(
        &mut self,
        content: String,
        calls: Vec<ToolCall>,
        returned: Vec<ToolResult>,
    ) {
        self.latest.push(Message::Called { content, calls });
        self.latest
            .extend(returned.into_iter().map(Message::Returned));
        self.rounds += 1;
        if self.rounds == MOST_ROUNDS {
            self.offer.choice = ToolChoice::None;
        }
    }

    /// Whether the answer may come from tools: from those on offer, or from those that were called.
    pub(super) fn has_tools(&self) -> bool {
        let has_calls = |message: &Message| matches!(message, Message::Called { .. });
        !self.offer.tools.is_empty() || self.latest.iter().any(has_calls)
    }

    /// What the model is told of calling tools.
    pub(super) fn tool_rules(&self) -> ToolRules {
        match (self.has_tools(), self.confirms_writes) {
            (false, _) => ToolRules::None,
            (true, false) => ToolRules::Called,
            (true, true) => ToolRules::Confirmed,
        }
    }
}

/// How an answer is to be written; what is absent is the configuration's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sampling {
    /// The sampling temperature.
    pub(crate) temperature: Option<f64>,
    /// At most so many tokens.
    pub(crate) max_output_tokens: Option<u32>,
}
