//! Which format an uploaded file has.

use crate::decode::decode;
use crate::signature::{begins_as_web_page, recognise};
use crate::{ExtractError, Kind};

/// The longest file name extension that is taken for one, in characters: `markdown` has eight.
const MAX_EXTENSION: usize = 12;

/// Finds the format of a file by its name, else its declared media type, and makes sure that the
/// bytes can be that.
///
/// The name comes before the declared type because browsers derive the one from the other, and
/// badly (`.md` is often `application/octet-stream`). It looks at every byte once and parses none,
/// so it is safe to call in the server's own process, to refuse an upload at once.
///
/// # Errors
/// [`ExtractError::Unsupported`] for another format; [`ExtractError::NotWhatItSays`],
/// [`ExtractError::Binary`] or [`ExtractError::Undecodable`] when the bytes belie the name;
/// [`ExtractError::Empty`] for no bytes, or blanks alone.
pub fn detect(
    file_name: Option<&str>,
    declared_media_type: Option<&str>,
    bytes: &[u8],
) -> Result<Kind, ExtractError> {
    let holds = recognise(bytes);
    let says = match file_name.and_then(extension) {
        Some(extension) => Kind::of_extension(extension),
        None => declared_media_type.and_then(Kind::of_media_type),
    };
    let Some(says) = says else {
        return Err(ExtractError::unsupported(holds));
    };
    if let Some(holds) = holds {
        return Err(not_what_it_says(says, holds));
    }
    if says != Kind::Html && begins_as_web_page(bytes) {
        return Err(not_what_it_says(says, "a web page"));
    }
    let text = decode(says, bytes)?;
    if text.trim().is_empty() {
        return Err(ExtractError::Empty);
    }
    Ok(says)
}

fn not_what_it_says(says: Kind, holds: &str) -> ExtractError {
    ExtractError::NotWhatItSays {
        says,
        holds: holds.to_owned(),
    }
}

/// The extension of a file name without its dot. `Version 1.2` and `.profile` have none.
fn extension(file_name: &str) -> Option<&str> {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let (stem, extension) = name.trim_end().rsplit_once('.')?;
    let plausible = !stem.is_empty()
        && (1..=MAX_EXTENSION).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.bytes().any(|byte| byte.is_ascii_alphabetic());
    plausible.then_some(extension)
}
