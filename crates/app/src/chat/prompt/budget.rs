//! How much of a prompt may be passages and how much conversation: what the model's window leaves
//! beside its instructions, the question and the answer that it is to write.

use stoa_ai::tokens::{Vocabulary, estimate_tokens};
use stoa_domain::Provider;

/// The most passages that an answer is given, in tokens: more is paid for and seldom read.
const MOST_PASSAGES: usize = 3_000;
/// The most earlier conversation, likewise. What is older is in the summary.
const MOST_HISTORY: usize = 6_000;
/// What an answer may take where nobody says.
const USUAL_ANSWER: usize = 1_024;
/// Estimates may be off, and formats add words of their own: so many hundredths are kept free.
const MARGIN_PERCENT: usize = 8;
/// A window that every model of today's big providers has.
const HOSTED_WINDOW: usize = 32_768;
/// A window to count on where nothing is known.
const UNKNOWN_WINDOW: usize = 8_192;
/// What Ollama reads unless it is configured otherwise; it drops what is more without a word.
const OLLAMA_WINDOW: usize = 4_096;

/// A model, as far as the size of a prompt is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Whose model it is.
    pub provider: Provider,
    /// Its name.
    pub model: &'a str,
    /// The most tokens of its answer, where that is set.
    pub most_output: Option<u32>,
    /// By what texts are counted; without one they are estimated.
    pub vocabulary: Option<Vocabulary>,
}

/// Tokens for each variable part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For passages.
    pub passages: usize,
    /// For earlier conversation.
    pub history: usize,
}

impl Reader<'_> {
    /// What is left beside `fixed` tokens of instructions and question.
    #[must_use]
    pub fn room(&self, fixed: usize) -> Room {
        let window = self.window();
        let answer = self
            .most_output
            .and_then(|tokens| usize::try_from(tokens).ok())
            .unwrap_or(USUAL_ANSWER)
            .min(window / 2);
        let free = (window - window * MARGIN_PERCENT / 100).saturating_sub(answer + fixed);
        let passages = MOST_PASSAGES.min(free / 2);
        Room {
            passages,
            history: MOST_HISTORY.min(free - passages),
        }
    }

    /// The most tokens of what tools gave: more would push the question out.
    #[must_use]
    pub fn most_results(&self) -> usize {
        self.window() / 2
    }

    /// How many tokens a text is for this model; rather too many than too few.
    #[must_use]
    pub fn tokens(&self, text: &str) -> usize {
        let counted = self.vocabulary.and_then(|it| it.count(text));
        let estimated = || estimate_tokens(self.provider, self.model, text).upper();
        usize::try_from(counted.unwrap_or_else(estimated)).unwrap_or(usize::MAX)
    }

    /// How many tokens the model reads and writes in all.
    fn window(&self) -> usize {
        let known = stoa_ai::prices::model_of(self.provider, self.model);
        if let Some(window) = known.and_then(|it| it.context_window) {
            return usize::try_from(window).unwrap_or(usize::MAX);
        }
        let named = |thousands: usize| {
            let mark = format!("{thousands}k");
            self.model
                .split(['-', '_', ':', '.'])
                .any(|part| part == mark)
        };
        let named = [4, 8, 16, 32, 64, 128].into_iter().find(|it| named(*it));
        if let Some(thousands) = named {
            return thousands * 1_000;
        }
        match self.provider {
            Provider::Ollama => OLLAMA_WINDOW,
            Provider::OpenaiCompatible | Provider::Openrouter | Provider::Passages => {
                UNKNOWN_WINDOW
            }
            _ => HOSTED_WINDOW,
        }
    }
}

impl Room {
    /// Of what was used, what is given to a model that found it too long.
    #[must_use]
    pub const fn squeezed(self) -> Self {
        Self {
            passages: self.passages / 3,
            history: self.history / 4,
        }
    }
}

/// How many of the texts, in order, fit into so many tokens.
pub fn fitting(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut used = 0;
    sizes
        .take_while(|size| {
            used += size;
            used <= room
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(provider: Provider, model: &str, most_output: Option<u32>) -> Reader<'_> {
        Reader {
            provider,
            model,
            most_output,
            vocabulary: None,
        }
    }

    #[test]
    fn a_large_window_is_not_filled_and_a_small_one_is_not_overrun() {
        let large = reader(Provider::Openai, "gpt-4o", Some(4_000)).room(500);
        assert_eq!(
            large,
            Room {
                passages: MOST_PASSAGES,
                history: MOST_HISTORY
            }
        );
        for fixed in [0, 500, 3_000, 100_000] {
            let small = reader(Provider::Ollama, "llama3.2", None);
            let room = small.room(fixed);
            let all = room.passages + room.history + fixed.min(3_000) + USUAL_ANSWER;
            assert!(
                all <= OLLAMA_WINDOW
                    || room
                        == Room {
                            passages: 0,
                            history: 0
                        },
                "{room:?}"
            );
        }
        let named = reader(Provider::OpenaiCompatible, "mistral-7b-4k-instruct", None).room(0);
        assert!(named.passages + named.history < 4_000);
        let huge = reader(Provider::OpenaiCompatible, "m", Some(1_000_000)).room(100);
        assert!(
            huge.history > 500,
            "an answer's limit does not push the question out: {huge:?}"
        );
        let squeezed = large.squeezed();
        assert!(squeezed.passages < large.passages && squeezed.history < large.history);
    }

    #[test]
    fn an_estimate_is_rather_too_high() {
        let reader = reader(Provider::Openai, "gpt-4o", None);
        // Counted with the model's own tokenizer: 10, 13 and 7.
        for (text, real) in [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("Wie lange kann ich getragene Schuhe zurückgeben?", 13),
            ("返品はいつまでできますか", 7),
        ] {
            let estimate = reader.tokens(text);
            assert!((real..real * 3).contains(&estimate), "{text}: {estimate}");
        }
        assert_eq!(reader.tokens(""), 0);
    }

    #[test]
    fn what_fits_is_counted_in_order() {
        assert_eq!(fitting([3, 3, 3].into_iter(), 6), 2);
        assert_eq!(fitting([7, 1].into_iter(), 6), 0);
    }
}
