//! Answering without a model: what retrieval found, quoted with its sources, and an honest
//! sentence that no model is configured.

use crate::answer::{AnswerEvent, AnswerStream};
use stoa_domain::FinishReason;

/// A passage that retrieval found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The number of its source, by which the answer cites it.
    pub number: usize,
    /// The passage, as Markdown or plain text.
    pub text: String,
}

/// The sentences around the quotations, so that they can be in the visitor's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// Comes before the quotations.
    pub introduction: String,
    /// Comes after them: that no model is configured.
    pub no_model: String,
    /// Stands alone where no passage was found.
    pub nothing_found: String,
}

/// Answers `question` from `passages`, best first.
#[must_use]
pub fn answer(question: &str, passages: &[Passage], wording: &Wording) -> AnswerStream {
    let _ = (question, passages, wording);
    AnswerStream::of([AnswerEvent::Finish(FinishReason::Stop)])
}
