//! How answers are made: the bot's instructions and how it uses the client's documents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::AnswerPolicy;
use crate::violation::{Violation, Violations};

/// An instance's instructions for retrieval and answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RagInstructions {
    /// Who the bot is and how it speaks. At most 20,000 characters. `{{visitor_name}}`, `{{page}}`,
    /// `{{locale}}`, `{{date}}` and `{{bot_name}}` stand for what they name; what a visitor gave is
    /// passed on as quoted data.
    pub system_prompt: String,
    /// What an answer may be drawn from.
    pub answer_policy: AnswerPolicy,
    /// What is said when the documents have nothing, 1 to 1,000 characters.
    pub no_answer_message: String,
    /// How many passages an answer may be drawn from, 1 to 20.
    pub top_k: u8,
    /// Passages scored below this are left out, 0 to 1. A passage that is first in every leg of
    /// the search scores 1.
    pub min_score: f64,
    /// Whether answers carry marks such as `[1]` that name their sources.
    pub cite_sources: bool,
    /// The language of the documents and of answers: `auto`, or one such as `en` or `de`.
    pub language: String,
}

impl Default for RagInstructions {
    fn default() -> Self {
        Self {
            system_prompt: String::new(),
            answer_policy: AnswerPolicy::DocumentsFirst,
            no_answer_message: "I could not find an answer to that in our documents.".into(),
            top_k: 6,
            min_score: 0.0,
            cite_sources: true,
            language: "auto".into(),
        }
    }
}

impl RagInstructions {
    /// Examines every field.
    ///
    /// # Errors
    /// Each field that is wrong, with what would be right.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let mut violations = Violations::default();
        violations.require_text(&self.system_prompt, 20_000, "system_prompt");
        violations.require_text(&self.no_answer_message, 1_000, "no_answer_message");
        violations.require(
            !self.no_answer_message.trim().is_empty(),
            "no_answer_message",
            "a sentence: it is what visitors read when the documents have nothing",
        );
        violations.require((1..=20).contains(&self.top_k), "top_k", "1 to 20");
        violations.require((0.0..=1.0).contains(&self.min_score), "min_score", "0 to 1");
        let plain = (2..=10).contains(&self.language.len())
            && self
                .language
                .chars()
                .all(|c| c.is_ascii_alphabetic() || c == '-');
        violations.require(plain, "language", "“auto” or a language such as “en”");
        violations.into_result()
    }

    /// The PostgreSQL text search configuration for the language; `english` for `auto`, since its
    /// stemmer leaves most words of other languages alone, and `simple` where PostgreSQL has none.
    #[must_use]
    pub fn text_search_configuration(&self) -> &'static str {
        let language = self
            .language
            .split('-')
            .next()
            .unwrap_or_default()
            .to_lowercase();
        match language.as_str() {
            "auto" | "en" => "english",
            "de" => "german",
            "fr" => "french",
            "es" => "spanish",
            "it" => "italian",
            "pt" => "portuguese",
            "nl" => "dutch",
            "sv" => "swedish",
            "da" => "danish",
            "no" | "nb" | "nn" => "norwegian",
            "fi" => "finnish",
            "hu" => "hungarian",
            "ro" => "romanian",
            "ru" => "russian",
            "tr" => "turkish",
            _ => "simple",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_an_empty_object_means_it() {
        assert_eq!(RagInstructions::default().validate(), Ok(()));
        assert_eq!(
            serde_json::from_str::<RagInstructions>("{}").unwrap(),
            RagInstructions::default()
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        let wrong = RagInstructions {
            no_answer_message: "  ".into(),
            top_k: 0,
            min_score: f64::NAN,
            language: "en; drop".into(),
            ..RagInstructions::default()
        };
        let fields: Vec<_> = wrong
            .validate()
            .unwrap_err()
            .into_iter()
            .map(|v| v.field)
            .collect();
        assert_eq!(
            fields,
            ["no_answer_message", "top_k", "min_score", "language"]
        );
    }
}
