//! What tools gave, cut to what a model has room for.

use stoa_ai::Message;

use crate::chat::prompt::budget::Reader;

/// What stands at the end of a result that was cut.
const CUT: &str = "\n[The rest is left out.]";

/// The messages with their results as they are, or each cut to its share of the room.
pub(super) fn fitted(latest: &[Message], reader: &Reader<'_>) -> Vec<Message> {
    let size = |message: &Message| match message {
        Message::Returned(result) => reader.tokens(&result.content),
        Message::Said(_) | Message::Called { .. } => 0,
    };
    let room = reader.most_results();
    let all: usize = latest.iter().map(size).sum();
    let mut latest = latest.to_vec();
    if all <= room {
        return latest;
    }
    for message in &mut latest {
        if let Message::Returned(result) = message {
            let share = result.content.len().saturating_mul(room) / all;
            let end = result.content.floor_char_boundary(share);
            result.content.truncate(end);
            result.content.push_str(CUT);
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_ai::{ToolResult, Turn};
    use stoa_domain::{MessageRole, Provider};

    fn returned(content: String) -> Message {
        Message::Returned(ToolResult {
            call_id: "a".into(),
            name: "find".into(),
            content,
            is_error: false,
        })
    }

    #[test]
    fn results_leave_room_in_a_small_window_and_are_whole_in_a_large_one() {
        let reader = |provider, model| Reader {
            provider,
            model,
            most_output: None,
            vocabulary: None,
        };
        let small = reader(Provider::Ollama, "llama3.2");
        let question = Message::Said(Turn {
            role: MessageRole::User,
            content: "q".repeat(9_000),
        });
        let latest = [
            question.clone(),
            returned("é".repeat(6_000)),
            returned("x".repeat(3_000)),
        ];
        let cut = fitted(&latest, &small);
        assert_eq!(cut[0], question, "what the visitor said is never cut");
        let tokens: usize = cut[1..]
            .iter()
            .map(|it| match it {
                Message::Returned(result) => small.tokens(&result.content),
                _ => 0,
            })
            .sum();
        assert!((1_500..2_200).contains(&tokens), "{tokens} of 4,096");
        let large = reader(Provider::Openai, "gpt-4o");
        assert_eq!(fitted(&latest, &large), latest);
    }
}
