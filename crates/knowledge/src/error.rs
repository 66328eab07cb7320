//! Why a document could not be read.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// Why a document could not be read. `Display` is a sentence for whoever uploaded it.
///
/// It crosses from the child process to the parent as JSON, hence the owned strings; the one
/// variant that does not is the one that says there was no child.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ExtractError {
    /// The format is none of those that are taken; an answer of 415 should list `taken`.
    #[error("This format is not taken. Taken are: {}.", taken.join(", "))]
    Unsupported {
        /// What is taken, fit to show.
        taken: Vec<String>,
        /// What the file seems to be, when that could be told: `a PDF document`.
        found: Option<String>,
    },
    /// The name or media type says one thing and the bytes another.
    #[error("The file says it is {says}, but it holds {holds}.")]
    NotWhatItSays {
        /// What the name or media type says.
        says: Kind,
        /// What the bytes are: `a PDF document`.
        holds: String,
    },
    /// Control characters or NUL bytes: no text in any encoding that is taken.
    #[error("The file says it is {says}, but it holds binary data, not text.")]
    Binary {
        /// What the name or media type says.
        says: Kind,
    },
    /// Text in an encoding that could not be told for certain.
    #[error(
        "The text is not valid UTF-8 (byte {offset} is the first that is wrong). \
         Save it as UTF-8 and upload it again."
    )]
    Undecodable {
        /// Where the first wrong byte is, from 0.
        offset: usize,
    },
    /// More bytes than may be read.
    #[error("The file is larger than {limit_bytes} bytes, the most that is read.")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// More text came out than may be kept.
    #[error(
        "The document holds more than {limit_bytes} bytes of text, the most that is kept. \
         Split it into several."
    )]
    TooMuchText {
        /// The limit, in bytes of UTF-8.
        limit_bytes: usize,
    },
    /// Elements within elements beyond what any page written by people has.
    #[error("The page nests its elements more than {limit} deep.")]
    TooDeep {
        /// The limit, in elements.
        limit: usize,
    },
    /// Nothing that could be searched.
    #[error("The document holds no text.")]
    Empty,
    /// The CPU or wall-clock limit was reached.
    #[error("Reading the document took too long, so it was stopped.")]
    TimedOut,
    /// The memory limit was reached.
    #[error("Reading the document took too much memory, so it was stopped.")]
    OutOfMemory,
    /// The reader broke or answered nonsense on this document.
    #[error("The document could not be read: the reader stopped in the middle of it.")]
    Crashed {
        /// For the log: how it ended, and where in our code. Never a part of the document.
        detail: String,
    },
    /// No child process could be started: no fault of the document's, so try again later.
    #[error("No process to read the document could be started.")]
    #[serde(skip)]
    Unavailable {
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl ExtractError {
    /// The error for a format that is not taken.
    pub(crate) fn unsupported(found: Option<&str>) -> Self {
        ExtractError::Unsupported {
            taken: Kind::taken(),
            found: found.map(str::to_owned),
        }
    }

    /// A stable word for this error, for problem documents and stored states.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            ExtractError::Unsupported { .. } => "unsupported_format",
            ExtractError::NotWhatItSays { .. } => "content_mismatch",
            ExtractError::Binary { .. } => "binary_content",
            ExtractError::Undecodable { .. } => "undecodable_text",
            ExtractError::TooLarge { .. } => "document_too_large",
            ExtractError::TooMuchText { .. } => "too_much_text",
            ExtractError::TooDeep { .. } => "nested_too_deep",
            ExtractError::Empty => "empty_document",
            ExtractError::TimedOut => "reading_timed_out",
            ExtractError::OutOfMemory => "reading_out_of_memory",
            ExtractError::Crashed { .. } => "reading_crashed",
            ExtractError::Unavailable { .. } => "reader_unavailable",
        }
    }

    /// Whether the same document may succeed later; otherwise trying again is a waste.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, ExtractError::Unavailable { .. })
    }
}
