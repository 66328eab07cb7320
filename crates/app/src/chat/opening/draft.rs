//! A request to one model: as many passages and as much of the conversation as it has room for.

use stoa_ai::tokens::Vocabulary;
use stoa_ai::{ChatRequest, Message, Tool};

use super::{Opener, results};
use crate::chat::event::Source;
use crate::chat::prompt::budget::{Reader, Room, fitting};
use crate::chat::prompt::variables::Values;
use crate::chat::prompt::{self, Brief};
use crate::chat::turns;
use crate::contents::Model;

/// How much a prompt may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// What the model should have room for.
    Usual,
    /// No more than this, for a model that had not.
    Within(Room),
}

/// A request, and what of the material is in it.
pub(super) struct Draft {
    pub(super) request: ChatRequest,
    /// How many of the passages, the best ones.
    pub(super) passages: usize,
    /// How many of the earlier messages, the latest ones.
    pub(super) kept: usize,
    /// How many tokens those are, about.
    used: Room,
}

impl Draft {
    /// A size that is well below this one's.
    pub(super) const fn less(&self) -> Size {
        Size::Within(self.used.squeezed())
    }

    pub(super) fn is_smaller_than(&self, other: &Self) -> bool {
        self.passages < other.passages || self.kept < other.kept
    }
}

impl Opener<'_> {
    /// A request of at most this size. Where something would be left out by an estimate, it is counted
    /// by the model's own vocabulary, if that is known.
    pub(super) fn draft(
        &self,
        model: &Model,
        found: &[Source],
        is_small_talk: bool,
        size: Size,
    ) -> Draft {
        let estimated = self.draft_by(None, model, found, is_small_talk, size);
        let is_whole =
            estimated.passages == found.len() && estimated.kept == self.inquiry.earlier.len();
        if is_whole {
            return estimated;
        }
        match self.vocabulary(model) {
            None => estimated,
            counted => self.draft_by(counted, model, found, is_small_talk, size),
        }
    }

    /// The model's vocabulary, where it is known and read. The first who could use one has it read
    /// beside its answer, which goes by the estimate.
    fn vocabulary(&self, model: &Model) -> Option<Vocabulary> {
        let vocabulary = Vocabulary::of(model.endpoint.provider, &model.model)?;
        if vocabulary.is_loaded() {
            return Some(vocabulary);
        }
        self.app.tasks().spawn_blocking(move || {
            if let Err(error) = vocabulary.load() {
                tracing::error!(%error, "texts are estimated and not counted");
            }
        });
        None
    }

    fn draft_by(
        &self,
        vocabulary: Option<Vocabulary>,
        model: &Model,
        found: &[Source],
        is_small_talk: bool,
        size: Size,
    ) -> Draft {
        let inquiry = self.inquiry;
        let most_output = self.most_output(model);
        let reader = Reader {
            provider: model.endpoint.provider,
            model: &model.model,
            most_output,
            vocabulary,
        };
        let brief = Brief {
            instructions: &self.contents.instructions,
            values: Values {
                visitor_name: inquiry.known.visitor_name.as_deref(),
                page_url: inquiry.known.page_url.as_deref(),
                locale: inquiry.known.locale.as_deref(),
                today: self.app.clock().now().date_naive(),
                bot_name: self.bot_name(),
            },
            summary: inquiry.known.summary.as_deref(),
            context: &inquiry.context,
            is_small_talk,
            tools: inquiry.tool_rules(),
        };
        let said = |message: &Message| turns::texts(message).map(|it| reader.tokens(it)).sum();
        let offered = |tool: &Tool| -> usize {
            let schema = tool.schema.to_string();
            let texts = [&tool.name, &tool.description, &schema];
            texts.into_iter().map(|it| reader.tokens(it)).sum()
        };
        let latest = results::fitted(&inquiry.latest, &reader);
        let fixed = reader.tokens(&prompt::system_prompt(&brief, &[]))
            + latest.iter().map(said).sum::<usize>()
            + inquiry.offer.tools.iter().map(offered).sum::<usize>();
        let room = match size {
            Size::Usual => reader.room(fixed),
            Size::Within(room) => room,
        };
        let size_of = |source: &Source| reader.tokens(&source.text);
        // The best passage is worth a prompt that may be too long.
        let passages = fitting(found.iter().map(size_of), room.passages)
            .max(1)
            .min(found.len());
        let kept = fitting_turns(&inquiry.earlier, room.history, said);
        let earlier = &inquiry.earlier[inquiry.earlier.len() - kept..];
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a temperature needs no more digits"
        )]
        let request = ChatRequest {
            model: model.model.clone(),
            system: prompt::system_prompt(&brief, &found[..passages]),
            messages: earlier.iter().cloned().chain(latest).collect(),
            temperature: inquiry
                .sampling
                .temperature
                .or(model.temperature)
                .map(|temperature| temperature as f32),
            max_output_tokens: most_output,
            tools: inquiry.offer.tools.clone(),
            tool_choice: inquiry.offer.choice.clone(),
            one_call: inquiry.offer.one_call,
            format: None,
        };
        Draft {
            request,
            passages,
            kept,
            used: Room {
                passages: found[..passages].iter().map(size_of).sum(),
                history: earlier.iter().map(said).sum(),
            },
        }
    }

    /// A caller may ask for less than the configuration allows, not for more.
    fn most_output(&self, model: &Model) -> Option<u32> {
        let configured = model
            .max_output_tokens
            .and_then(|tokens| u32::try_from(tokens).ok());
        let asked = self.inquiry.sampling.max_output_tokens;
        configured.into_iter().chain(asked).min()
    }
}

/// How many of the last messages fit, in whole turns: an answer without its question misleads.
fn fitting_turns(earlier: &[Message], room: usize, size: impl Fn(&Message) -> usize) -> usize {
    let (mut used, mut kept) = (0, 0);
    for (count, turn) in earlier.iter().rev().enumerate() {
        used += size(turn);
        if used > room {
            break;
        }
        if turns::is_question(turn) {
            kept = count + 1;
        }
    }
    // What stands before the first question, such as a person's words, goes with it.
    if used <= room { earlier.len() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_domain::MessageRole;

    fn conversation(roles: &[MessageRole]) -> Vec<Message> {
        roles.iter().map(|role| turns::said(*role, "x")).collect()
    }

    #[test]
    fn a_conversation_is_cut_between_turns() {
        use MessageRole::{Agent, Assistant, User};
        let earlier = conversation(&[Agent, User, Assistant, User, Assistant, Agent]);
        let fits = |room| fitting_turns(&earlier, room, |_| 1);
        assert_eq!(fits(6), 6);
        assert_eq!(fits(5), 5);
        assert_eq!(
            fits(4),
            3,
            "the answer of a question that does not fit is left out with it"
        );
        assert_eq!(fits(3), 3);
        assert_eq!(fits(2), 0);
        assert_eq!(fitting_turns(&[], 0, |_| 1), 0);
    }
}
