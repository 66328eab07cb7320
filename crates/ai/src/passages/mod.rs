//! Answering without a model: what retrieval found, quoted with its sources, and an honest
//! sentence that no model is configured.
//!
//! Nothing here is written by the machine: every quotation is a run of sentences of a passage, and
//! the sentences around them are given by the caller or are [`Wording::default`].

mod quote;

use self::quote::Question;
use crate::answer::{AnswerEvent, AnswerStream, Ending};

/// At most so many passages are quoted.
const MOST_QUOTED: usize = 3;

/// A passage that retrieval found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The number of its source, by which the answer cites it: 1 for `[1]`.
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
    /// Stands in place of quotations where no passage was found.
    pub nothing_found: String,
}

impl Default for Wording {
    fn default() -> Self {
        Self {
            introduction: "Here is what the documents say:".to_owned(),
            no_model: "This is quoted from the documents as it stands: no language model is \
                       configured."
                .to_owned(),
            nothing_found: "I found nothing about that in the documents.".to_owned(),
        }
    }
}

/// Answers `question` by quoting from `passages`, best first, as Markdown with marks such as `[1]`.
///
/// It reports no usage, since no model was used, and always finishes with `stop`.
#[must_use]
pub fn answer(question: &str, passages: &[Passage], wording: &Wording) -> AnswerStream {
    let text = compose(question, passages, wording);
    let words = text
        .split_inclusive(' ')
        .map(|it| AnswerEvent::Text(it.to_owned()));
    AnswerStream::of(words.chain([AnswerEvent::Finish(Ending::Stop)]))
}

fn compose(question: &str, passages: &[Passage], wording: &Wording) -> String {
    let question = Question::new(question);
    let mut quotes: Vec<_> = passages
        .iter()
        .filter_map(|passage| Some((passage.number, question.quote(&passage.text)?)))
        .collect();
    // Stable, so that retrieval's order decides between equals.
    quotes.sort_by_key(|(_, quote)| std::cmp::Reverse(quote.score));
    let best = quotes.first().map_or(0, |(_, quote)| quote.score);
    let close = |score: usize| score > 0 && score * 2 > best;
    let mut paragraphs: Vec<String> = quotes
        .iter()
        .enumerate()
        .filter(|(rank, (_, quote))| *rank == 0 || close(quote.score))
        .take(MOST_QUOTED)
        .map(|(_, (number, quote))| format!("> {} [{number}]", quote.text))
        .collect();
    let opening = match paragraphs.is_empty() {
        true => &wording.nothing_found,
        false => &wording.introduction,
    };
    paragraphs.insert(0, opening.clone());
    paragraphs.push(wording.no_model.clone());
    paragraphs.retain(|it| !it.is_empty());
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(number: usize, text: &str) -> Passage {
        Passage {
            number,
            text: text.to_owned(),
        }
    }

    fn handbook() -> Vec<Passage> {
        vec![
            passage(
                1,
                "# Shipping\n\nWe ship within two days. Shipping to Norway takes a week.",
            ),
            passage(
                2,
                "## Returns\n\nThank you for buying. You may return unused gear within 60 days of \
                 delivery. Refunds go to the card that paid. We pay the postage.",
            ),
        ]
    }

    #[test]
    fn it_quotes_the_sentences_that_answer_and_cites_them() {
        let text = compose(
            "How many days do I have to return gear?",
            &handbook(),
            &Wording::default(),
        );
        assert_eq!(
            text,
            "Here is what the documents say:\n\n\
             > You may return unused gear within 60 days of delivery. Refunds go to the card that \
             paid. We pay the postage. [2]\n\n\
             This is quoted from the documents as it stands: no language model is configured."
        );
    }

    #[test]
    fn without_passages_it_says_so() {
        let text = compose("Anything?", &[], &Wording::default());
        assert!(
            text.starts_with("I found nothing") && text.contains("no language model"),
            "{text}"
        );
        let text = compose(
            "Anything?",
            &[passage(1, " \n\n|---|---|\n")],
            &Wording::default(),
        );
        assert!(text.starts_with("I found nothing"), "{text}");
    }

    #[test]
    fn passages_near_only_in_meaning_are_quoted_from_their_beginning() {
        let text = compose("Wann kommt mein Paket?", &handbook(), &Wording::default());
        assert!(
            text.contains("> We ship within two days.") && text.contains("[1]"),
            "{text}"
        );
        assert!(
            !text.contains("[2]"),
            "one is enough where none is known to fit: {text}"
        );
    }

    #[test]
    fn numbers_in_brackets_of_a_document_are_no_citations() {
        let text = compose(
            "warranty",
            &[passage(4, "The warranty [7] is two years.")],
            &Wording::default(),
        );
        assert!(
            text.contains("> The warranty (7) is two years. [4]"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn it_streams_in_words_and_finishes_once() {
        let wording = Wording::default();
        let mut stream = answer("return gear", &handbook(), &wording);
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.unwrap());
        }
        assert_eq!(events.pop(), Some(AnswerEvent::Finish(Ending::Stop)));
        let text: String = events
            .iter()
            .map(|it| match it {
                AnswerEvent::Text(text) => text.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(text, compose("return gear", &handbook(), &wording));
        assert!(events.len() > 20);
    }
}
