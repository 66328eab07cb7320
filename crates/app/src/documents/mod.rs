//! The client's documents: taken in, listed, indexed again, removed.
//!
//! A document lies in the client's database and its indexing job in the platform's queue; no
//! transaction spans both. The document is stored first and the job is named after it, so that
//! adding it twice is adding it once; the sweep adds the job of a document that lacks one.

pub mod indexing;

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use stoa_client_db::documents::{self, NewDocument};
use stoa_client_db::{ClientDbError, Page, PageRequest};
use stoa_domain::{DocumentId, DocumentSource, DocumentStatus};
pub use stoa_knowledge::ExtractError;
use stoa_knowledge::{Kind, detect};
use stoa_platform_db::DbError;

pub use stoa_client_db::documents::{Document, DocumentContent};

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;

/// The largest document, in bytes.
pub const LARGEST_DOCUMENT: usize = 20 * 1024 * 1024;
const LONGEST_TITLE: usize = 300;

/// Why a document was not taken, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// There is no such document.
    #[error("there is no such document")]
    NotFound,
    /// A field is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What would be right.
        message: String,
    },
    /// The bytes are not what can be read.
    #[error("the document cannot be read")]
    Unreadable(#[source] ExtractError),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<ClientDbError> for DocumentError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// A document as it comes.
pub enum NewContent {
    /// An uploaded file.
    File {
        /// The name that the sender gave it: a label, never a path.
        name: Option<String>,
        /// The media type that the sender gave it.
        media_type: Option<String>,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A text.
    Text {
        /// Its title.
        title: String,
        /// The text, in Markdown.
        text: String,
    },
    /// A curated question and its answer.
    Question {
        /// The question.
        question: String,
        /// The answer, in Markdown.
        answer: String,
    },
}

/// A document that was looked at and can be stored.
struct Examined {
    title: String,
    source: DocumentSource,
    file_name: Option<String>,
    kind: Kind,
    bytes: Vec<u8>,
}

/// Takes a document and queues its indexing.
///
/// # Errors
/// When it is of no format that is taken, belies its name, is too large or empty, or a database
/// fails.
pub async fn add(
    app: &Arc<App>,
    caller: &ClientCaller,
    title: Option<String>,
    content: NewContent,
) -> Result<Document, DocumentError> {
    let examined = examine(content, title)?;
    let id = app.new_id(DocumentId::generate);
    let connection = app.checkout(caller.registered()).await?;
    // Noted first: the sweep looks for documents without a job only where something happened.
    app.note_activity(caller.instance()).await?;
    let new = NewDocument {
        id,
        title: &examined.title,
        source: examined.source,
        url: None,
        file_name: examined.file_name.as_deref(),
        media_type: examined.kind.media_type(),
        content_sha256: Sha256::digest(&examined.bytes).into(),
        content: &examined.bytes,
        created_at: app.clock().now(),
    };
    documents::insert(&connection, &new).await?;
    let document = documents::find(&connection, id)
        .await?
        .ok_or(DocumentError::NotFound)?;
    indexing::enqueue(app, caller.instance(), id, document.generation).await?;
    Ok(document)
}

fn examine(content: NewContent, title: Option<String>) -> Result<Examined, DocumentError> {
    let examined = match content {
        NewContent::File {
            name,
            media_type,
            bytes,
        } => {
            let kind = detect(name.as_deref(), media_type.as_deref(), &bytes)
                .map_err(DocumentError::Unreadable)?;
            let title = title.or_else(|| name.as_deref().map(title_of_name));
            Examined {
                title: title.unwrap_or_else(|| "Untitled".into()),
                source: DocumentSource::File,
                file_name: name,
                kind,
                bytes,
            }
        }
        NewContent::Text { title, text } => Examined {
            title,
            source: DocumentSource::Text,
            file_name: None,
            kind: Kind::Markdown,
            bytes: text.into_bytes(),
        },
        NewContent::Question { question, answer } => Examined {
            bytes: format!("# {}\n\n{answer}", question.replace('\n', " ")).into_bytes(),
            title: question,
            source: DocumentSource::Question,
            file_name: None,
            kind: Kind::Markdown,
        },
    };
    check(&examined)?;
    Ok(examined)
}

fn check(examined: &Examined) -> Result<(), DocumentError> {
    let invalid = |field, message: String| Err(DocumentError::Invalid { field, message });
    let title = examined.title.trim();
    if title.is_empty() || title.chars().count() > LONGEST_TITLE || title.contains('\0') {
        return invalid("title", format!("1 to {LONGEST_TITLE} characters"));
    }
    if examined.bytes.len() > LARGEST_DOCUMENT {
        return Err(DocumentError::Unreadable(ExtractError::TooLarge {
            limit_bytes: LARGEST_DOCUMENT,
        }));
    }
    if examined.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(DocumentError::Unreadable(ExtractError::Empty));
    }
    Ok(())
}

/// A file's name without its ending, as a title: the name is text and never becomes a path.
fn title_of_name(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let readable: String = stem
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_TITLE)
        .collect();
    if readable.trim().is_empty() {
        "Untitled".into()
    } else {
        readable
    }
}

/// The document with this id.
///
/// # Errors
/// When there is none, or the client's database fails.
pub async fn find(
    app: &App,
    caller: &ClientCaller,
    id: DocumentId,
) -> Result<Document, DocumentError> {
    let connection = app.checkout(caller.registered()).await?;
    documents::find(&connection, id)
        .await?
        .ok_or(DocumentError::NotFound)
}

/// Documents, newest first.
///
/// # Errors
/// When the client's database fails.
pub async fn list(
    app: &App,
    caller: &ClientCaller,
    status: Option<DocumentStatus>,
    page: &PageRequest,
) -> Result<Page<Document>, DocumentError> {
    let connection = app.checkout(caller.registered()).await?;
    Ok(documents::list(&connection, status, page).await?)
}

/// A document's original bytes.
///
/// # Errors
/// When there is no such document, or the client's database fails.
pub async fn content(
    app: &App,
    caller: &ClientCaller,
    id: DocumentId,
) -> Result<DocumentContent, DocumentError> {
    let connection = app.checkout(caller.registered()).await?;
    documents::content(&connection, id)
        .await?
        .ok_or(DocumentError::NotFound)
}

/// Removes a document and its passages.
///
/// # Errors
/// When there is no such document, or the client's database fails.
pub async fn delete(app: &App, caller: &ClientCaller, id: DocumentId) -> Result<(), DocumentError> {
    let connection = app.checkout(caller.registered()).await?;
    if documents::delete(&connection, id).await? {
        Ok(())
    } else {
        Err(DocumentError::NotFound)
    }
}

/// Queues a document to be indexed again; its passages stay in use until the new ones are there.
///
/// # Errors
/// When there is no such document, or a database fails.
pub async fn reindex(
    app: &App,
    caller: &ClientCaller,
    id: DocumentId,
) -> Result<Document, DocumentError> {
    let connection = app.checkout(caller.registered()).await?;
    app.note_activity(caller.instance()).await?;
    let generation = documents::requeue(&connection, id, app.clock().now()).await?;
    let generation = generation.ok_or(DocumentError::NotFound)?;
    indexing::enqueue(app, caller.instance(), id, generation).await?;
    documents::find(&connection, id)
        .await?
        .ok_or(DocumentError::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_title_and_nothing_else() {
        assert_eq!(title_of_name("returns policy.md"), "returns policy");
        assert_eq!(
            title_of_name("../../etc/passwd"),
            "../../etc/passwd".rsplit_once('.').unwrap().0
        );
        assert_eq!(title_of_name("\u{0}.txt"), "Untitled");
    }

    #[test]
    fn a_curated_answer_is_a_document_headed_by_its_question() {
        let content = NewContent::Question {
            question: "Open?\nToday?".into(),
            answer: "Yes.".into(),
        };
        let examined = examine(content, None).unwrap();
        assert_eq!(
            String::from_utf8(examined.bytes).unwrap(),
            "# Open? Today?\n\nYes."
        );
    }

    #[test]
    fn blanks_and_endless_titles_are_refused() {
        let blank = NewContent::Text {
            title: "t".into(),
            text: " \n".into(),
        };
        assert!(matches!(
            examine(blank, None),
            Err(DocumentError::Unreadable(ExtractError::Empty))
        ));
        let untitled = NewContent::Text {
            title: " ".into(),
            text: "x".into(),
        };
        assert!(matches!(
            examine(untitled, None),
            Err(DocumentError::Invalid { field: "title", .. })
        ));
    }
}
