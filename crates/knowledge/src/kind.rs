//! The formats that are taken.

use serde::{Deserialize, Serialize};

/// A format that documents may have.
///
/// A new format is a variant here, its line in each table below and a module under `extract`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Plain text.
    Text,
    /// CommonMark, with tables.
    Markdown,
    /// A web page or a part of one.
    Html,
}

impl Kind {
    /// All of them, in the order in which people are told of them.
    pub const ALL: [Kind; 3] = [Kind::Text, Kind::Markdown, Kind::Html];

    /// The IANA media type, without parameters.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Kind::Text => "text/plain",
            Kind::Markdown => "text/markdown",
            Kind::Html => "text/html",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "plain text",
            Kind::Markdown => "Markdown",
            Kind::Html => "HTML",
        }
    }

    /// File name extensions, without the dot, the usual one first.
    #[must_use]
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Kind::Text => &["txt", "text"],
            Kind::Markdown => &["md", "markdown", "mdown", "mkd"],
            Kind::Html => &["html", "htm", "xhtml"],
        }
    }

    /// Every format with its extension, for people who sent another: `plain text (.txt)`.
    #[must_use]
    pub fn taken() -> Vec<String> {
        Kind::ALL
            .iter()
            .map(|kind| format!("{} (.{})", kind.name(), kind.extensions()[0]))
            .collect()
    }

    /// The format with this file name extension, in any case.
    pub(crate) fn of_extension(extension: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| {
            kind.extensions()
                .iter()
                .any(|known| known.eq_ignore_ascii_case(extension))
        })
    }

    /// The format with this media type; parameters such as `charset` are ignored.
    pub(crate) fn of_media_type(media_type: &str) -> Option<Kind> {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/plain" => Some(Kind::Text),
            "text/markdown" | "text/x-markdown" => Some(Kind::Markdown),
            "text/html" | "application/xhtml+xml" => Some(Kind::Html),
            _ => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
