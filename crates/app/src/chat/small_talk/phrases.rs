//! The phrases, read once from `phrases.json`: in lower case and without punctuation, as they are
//! compared. A language is added there and nowhere else.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Kind;

/// All that is known.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// Words that say nothing beside a phrase.
    pub(super) fillers: Vec<String>,
    /// Every language.
    pub(super) languages: Vec<Phrases>,
}

/// A language's phrases, and what a bot without a model says to each kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Phrases {
    pub(super) code: String,
    greetings: Vec<String>,
    thanks: Vec<String>,
    farewells: Vec<String>,
    replies: Replies,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replies {
    greeting: String,
    thanks: String,
    farewell: String,
}

/// Nothing would be known if the file could not be read; a test reads it.
static KNOWN: LazyLock<Known> =
    LazyLock::new(|| serde_json::from_str(include_str!("phrases.json")).unwrap_or_default());

/// All that is known.
pub(super) fn known() -> &'static Known {
    &KNOWN
}

impl Phrases {
    pub(super) fn kind_of(&self, text: &str) -> Option<Kind> {
        let lists = [
            (&self.greetings, Kind::Greeting),
            (&self.thanks, Kind::Thanks),
            (&self.farewells, Kind::Farewell),
        ];
        let found = lists
            .into_iter()
            .find(|(list, _)| list.iter().any(|phrase| phrase == text));
        found.map(|(_, kind)| kind)
    }

    pub(super) fn reply(&self, kind: Kind) -> &str {
        match kind {
            Kind::Greeting => &self.replies.greeting,
            Kind::Thanks => &self.replies.thanks,
            Kind::Farewell => &self.replies.farewell,
        }
    }
}
