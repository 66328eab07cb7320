//! The text search configurations that PostgreSQL ships, by fixed names.

/// How words are stemmed. Only names that every PostgreSQL from 14 on has; always qualified, so
/// that nothing in a client's database can take a name's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSearchConfiguration(&'static str);

/// Each known configuration, qualified.
const KNOWN: &[&str] = &[
    "pg_catalog.simple",
    "pg_catalog.arabic",
    "pg_catalog.armenian",
    "pg_catalog.basque",
    "pg_catalog.catalan",
    "pg_catalog.danish",
    "pg_catalog.dutch",
    "pg_catalog.english",
    "pg_catalog.finnish",
    "pg_catalog.french",
    "pg_catalog.german",
    "pg_catalog.greek",
    "pg_catalog.hindi",
    "pg_catalog.hungarian",
    "pg_catalog.indonesian",
    "pg_catalog.irish",
    "pg_catalog.italian",
    "pg_catalog.lithuanian",
    "pg_catalog.nepali",
    "pg_catalog.norwegian",
    "pg_catalog.portuguese",
    "pg_catalog.romanian",
    "pg_catalog.russian",
    "pg_catalog.serbian",
    "pg_catalog.spanish",
    "pg_catalog.swedish",
    "pg_catalog.tamil",
    "pg_catalog.turkish",
    "pg_catalog.yiddish",
];

impl TextSearchConfiguration {
    /// The one that stems nothing and knows no stop words.
    pub const SIMPLE: Self = Self("pg_catalog.simple");

    /// The configuration called `name`, such as `english`; `None` when PostgreSQL ships none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let bare = name.strip_prefix("pg_catalog.").unwrap_or(name);
        KNOWN
            .iter()
            .find(|known| known.strip_prefix("pg_catalog.") == Some(bare))
            .map(|known| Self(known))
    }

    /// The qualified name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}
