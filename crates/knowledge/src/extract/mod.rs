//! A document's bytes to Markdown, the one form in which text is kept and split.

mod html;
mod markdown;

use serde::{Deserialize, Serialize};

use crate::decode::decode;
use crate::{ExtractError, Kind};

pub use html::MAX_HTML_DEPTH;

/// The most text that one document may hold, in bytes of UTF-8: about 1,500 printed pages.
pub const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// The longest title that is kept, in characters.
const MAX_TITLE: usize = 200;

/// What a document says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// The title that the document gives itself; on one line, at most 200 characters.
    pub title: Option<String>,
    /// The text as Markdown, never blank, at most [`MAX_TEXT_BYTES`].
    pub markdown: String,
}

/// Extracts the text of a document.
///
/// It trusts nothing in the bytes, but it spends what memory and time they take: call it where
/// that is limited, which [`crate::extract_in_child`] does.
///
/// # Errors
/// Whatever is wrong with the document; see [`ExtractError`].
pub fn extract(kind: Kind, bytes: &[u8]) -> Result<Extracted, ExtractError> {
    let text = decode(kind, bytes)?;
    let extracted = match kind {
        Kind::Text => Extracted {
            title: None,
            markdown: text,
        },
        Kind::Markdown => markdown::extract(&text),
        Kind::Html => html::extract(&text)?,
    };
    if extracted.markdown.trim().is_empty() {
        return Err(ExtractError::Empty);
    }
    if extracted.markdown.len() > MAX_TEXT_BYTES {
        return Err(ExtractError::TooMuchText {
            limit_bytes: MAX_TEXT_BYTES,
        });
    }
    Ok(extracted)
}

/// A title on one line and of bounded length; `None` when nothing is left.
fn tidy_title(title: &str) -> Option<String> {
    let mut tidied = String::new();
    for word in title.split_whitespace() {
        if !tidied.is_empty() {
            tidied.push(' ');
        }
        tidied.push_str(word);
        if tidied.len() > MAX_TITLE * 4 {
            break;
        }
    }
    let tidied: String = tidied.chars().take(MAX_TITLE).collect();
    (!tidied.is_empty()).then_some(tidied)
}
