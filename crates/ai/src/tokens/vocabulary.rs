//! Counting by a model's own vocabulary, where OpenAI has published it.
//!
//! A vocabulary takes about 45 MB of memory and some tenths of a second to read, so it is read when
//! somebody has use for exact counts and not before, and in a thread that may block.

use std::sync::{Mutex, OnceLock, PoisonError};

use stoa_domain::Provider;
use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

/// How much is counted at once. Its regular expressions give up on runs of spaces of hundreds of
/// thousands; where a text is cut, a token more may be counted.
const AT_ONCE: usize = 16 * 1024;

/// A vocabulary that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// OpenAI's models since 2024.
    O200k,
    /// Those of 2023, and its embedding models.
    Cl100k,
}

/// A vocabulary could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vocabulary could not be read: {0}")]
pub struct VocabularyError(String);

static O200K: OnceLock<CoreBPE> = OnceLock::new();
static CL100K: OnceLock<CoreBPE> = OnceLock::new();
/// Held by whoever reads one, so that those who come meanwhile do not read it too.
static READING: Mutex<()> = Mutex::new(());

impl Vocabulary {
    /// The vocabulary of a model. Azure's names are of deployments and say nothing.
    #[must_use]
    pub fn of(provider: Provider, model: &str) -> Option<Self> {
        let model = match provider {
            Provider::Openai => model,
            Provider::Openrouter => model.strip_prefix("openai/")?,
            _ => return None,
        };
        match get_tokenizer(model)? {
            Tokenizer::O200kBase => Some(Self::O200k),
            Tokenizer::Cl100kBase => Some(Self::Cl100k),
            _ => None,
        }
    }

    /// Reads it, unless that was done. Blocks for some tenths of a second.
    ///
    /// # Errors
    /// When what is built into the program cannot be read.
    pub fn load(self) -> Result<(), VocabularyError> {
        let _reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_loaded() {
            return Ok(());
        }
        let read = match self {
            Self::O200k => tiktoken_rs::o200k_base(),
            Self::Cl100k => tiktoken_rs::cl100k_base(),
        };
        let read = read.map_err(|error| VocabularyError(error.to_string()))?;
        self.place().get_or_init(|| read);
        Ok(())
    }

    /// Whether it is read.
    #[must_use]
    pub fn is_loaded(self) -> bool {
        self.place().get().is_some()
    }

    /// How many tokens `text` is; `None` until it is read.
    #[must_use]
    pub fn count(self, text: &str) -> Option<u64> {
        let vocabulary = self.place().get()?;
        let (mut count, mut rest) = (0, text);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(AT_ONCE));
            count += u64::try_from(vocabulary.encode_ordinary(piece).len()).ok()?;
            rest = after;
        }
        Some(count)
    }

    /// The text that tokens are, where they are tokens of it; `None` until it is read.
    #[must_use]
    pub fn text(self, tokens: &[u32]) -> Option<String> {
        let bytes = self.place().get()?.decode_bytes(tokens).ok()?;
        // Tokens that were cut from a longer text may begin or end with half a character.
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    const fn place(self) -> &'static OnceLock<CoreBPE> {
        match self {
            Self::O200k => &O200K,
            Self::Cl100k => &CL100K,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::KNOWN;
    use super::*;

    #[test]
    fn models_are_known_by_name_and_others_by_nobody() {
        let openai = |model| Vocabulary::of(Provider::Openai, model);
        assert_eq!(openai("gpt-4o-mini"), Some(Vocabulary::O200k));
        assert_eq!(openai("gpt-4.1-mini-2025-04-14"), Some(Vocabulary::O200k));
        assert_eq!(openai("gpt-5"), Some(Vocabulary::O200k));
        assert_eq!(openai("gpt-4-turbo"), Some(Vocabulary::Cl100k));
        assert_eq!(openai("text-embedding-3-small"), Some(Vocabulary::Cl100k));
        assert_eq!(openai("my-own"), None);
        assert_eq!(
            Vocabulary::of(Provider::Openrouter, "openai/gpt-4o"),
            Some(Vocabulary::O200k)
        );
        for (provider, model) in [
            (Provider::Openrouter, "anthropic/claude-sonnet-4"),
            (Provider::AzureOpenai, "gpt-4o"),
            (Provider::OpenaiCompatible, "gpt-4o"),
        ] {
            assert_eq!(Vocabulary::of(provider, model), None, "{model}");
        }
    }

    #[test]
    fn counts_are_those_of_openais_own_encoder() {
        Vocabulary::O200k.load().unwrap();
        Vocabulary::Cl100k.load().unwrap();
        for (text, older, newer) in KNOWN {
            assert_eq!(Vocabulary::Cl100k.count(text), Some(*older), "{text}");
            assert_eq!(Vocabulary::O200k.count(text), Some(*newer), "{text}");
        }
        assert_eq!(Vocabulary::O200k.count(""), Some(0));
    }

    #[test]
    fn tokens_are_read_back_and_others_refused() {
        Vocabulary::Cl100k.load().unwrap();
        let text = |tokens: &[u32]| Vocabulary::Cl100k.text(tokens);
        assert_eq!(text(&[9906, 1917]).as_deref(), Some("Hello world"));
        assert_eq!(text(&[]).as_deref(), Some(""));
        assert_eq!(text(&[4_000_000]), None);
    }

    #[test]
    fn no_text_is_too_odd_to_count() {
        Vocabulary::O200k.load().unwrap();
        for odd in [" ", "\n ", "!", "x", "漢", "\u{a0}\u{3000}", "🦀"] {
            let text = odd.repeat(300_000 / odd.len());
            let count = Vocabulary::O200k.count(&text);
            assert!(
                count.is_some_and(|it| it > 0 && it <= text.len() as u64),
                "{odd:?}"
            );
        }
    }
}
