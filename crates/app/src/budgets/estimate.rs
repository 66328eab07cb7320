//! What a call will take at most, before it is made.

use stoa_ai::tokens::estimate_tokens;
use stoa_ai::{AnswerFormat, ChatRequest, Message, Usage};
use stoa_domain::Provider;

/// What an answer takes where nobody limits it. Longer ones are settled when they have ended.
const USUAL_ANSWER: u64 = 1_024;
/// What formats add to every message and tool.
const AROUND: u64 = 8;

/// What a chat call takes at most: all that is sent, and the longest answer.
pub(super) fn of_chat(provider: Provider, request: &ChatRequest) -> Usage {
    let tokens = |text: &str| estimate_tokens(provider, &request.model, text).upper();
    let message = |message: &Message| match message {
        Message::Said(turn) => tokens(&turn.content),
        Message::Called { content, calls } => {
            let calls = calls.iter();
            let calls = calls.map(|it| tokens(&it.name) + tokens(&it.arguments) + AROUND);
            tokens(content) + calls.sum::<u64>()
        }
        Message::Returned(result) => tokens(&result.content),
    };
    let messages: u64 = request.messages.iter().map(|it| message(it) + AROUND).sum();
    let tools = request.tools.iter().map(|it| {
        let schema = serde_json::to_string(&it.schema).unwrap_or_default();
        tokens(&it.name) + tokens(&it.description) + tokens(&schema) + AROUND
    });
    let format = match &request.format {
        Some(AnswerFormat::JsonSchema { schema, .. }) => tokens(&schema.to_string()) + AROUND,
        Some(AnswerFormat::JsonObject) | None => 0,
    };
    Usage {
        input_tokens: tokens(&request.system) + messages + tools.sum::<u64>() + format,
        output_tokens: request.max_output_tokens.map_or(USUAL_ANSWER, u64::from),
        cached_input_tokens: None,
    }
}

/// What embedding takes.
pub(super) fn of_embedding(provider: Provider, model: &str, texts: &[String]) -> Usage {
    let tokens = texts
        .iter()
        .map(|text| estimate_tokens(provider, model, text).upper());
    Usage {
        input_tokens: tokens.sum(),
        output_tokens: 0,
        cached_input_tokens: None,
    }
}
