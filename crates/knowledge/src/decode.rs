//! Bytes to text, in encodings that can honestly be told apart.
//!
//! A byte order mark decides; then what a page says of itself; then valid UTF-8; and at last
//! Windows-1252 (which contains Latin-1), but only when what comes out looks like a text in a
//! Western language. Anything else is refused: a guess that turns into letters nobody wrote is
//! worse than a sentence that asks for UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::{ExtractError, Kind};

/// How far into a page its declaration of an encoding is looked for, in bytes, as the HTML standard
/// has it.
const DECLARATION_WITHIN: usize = 1024;

/// The most characters beyond ASCII that a Western text has among its letters, in percent. German
/// and French stay under 10; a Cyrillic or Japanese text taken for Windows-1252 has over 80.
const MOST_BEYOND_ASCII: usize = 30;

/// One control character in this many characters is a slip; more are binary data.
const CONTROLS_ONE_IN: usize = 200;

/// Decodes the bytes of a text; line ends become `\n`, stray control characters vanish.
pub(crate) fn decode(says: Kind, bytes: &[u8]) -> Result<String, ExtractError> {
    let text = decode_bytes(says, bytes)?;
    if has_binary_controls(&text) {
        return Err(ExtractError::Binary { says });
    }
    Ok(tidy(&text))
}

fn decode_bytes(says: Kind, bytes: &[u8]) -> Result<Cow<'_, str>, ExtractError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return decode_declared(encoding, &bytes[mark..]);
    }
    // Before any single-byte encoding is considered, in which NUL would be a valid character.
    if bytes.contains(&0) {
        return Err(ExtractError::Binary { says });
    }
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(Cow::Borrowed(text)),
        Err(error) => error,
    };
    if says == Kind::Html
        && let Some(encoding) = declared_in_page(bytes)
    {
        return decode_declared(encoding, bytes);
    }
    let undecodable = ExtractError::Undecodable {
        offset: error.valid_up_to(),
    };
    if has_utf8_sequences(&bytes[..error.valid_up_to()]) {
        // UTF-8 with a fault in it: another encoding would spoil the characters that are right.
        return Err(undecodable);
    }
    decode_western(bytes).map(Cow::Owned).ok_or(undecodable)
}

/// Decodes in an encoding that the bytes themselves name; nothing is replaced.
fn decode_declared<'bytes>(
    encoding: &'static Encoding,
    bytes: &'bytes [u8],
) -> Result<Cow<'bytes, str>, ExtractError> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| ExtractError::Undecodable {
            offset: std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len),
        })
}

/// The encoding that a page's `<meta charset=…>` names, in either of its forms.
fn declared_in_page(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(DECLARATION_WITHIN)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head
        .split("charset")
        .nth(1)?
        .trim_start()
        .strip_prefix('=')?;
    let label: String = value
        .trim_start_matches([' ', '"', '\''])
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || "-_".contains(*character))
        .collect();
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A page whose declaration can be read as ASCII is not in UTF-16.
    let honest = encoding != UTF_16LE && encoding != UTF_16BE && encoding != UTF_8;
    honest.then_some(encoding)
}

fn decode_western(bytes: &[u8]) -> Option<String> {
    // The five bytes that Windows-1252 leaves undefined, and the rest of what it maps to controls.
    let undefined = |byte: &u8| matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d);
    if bytes.iter().any(undefined) {
        return None;
    }
    let text = WINDOWS_1252.decode_without_bom_handling(bytes).0;
    let letters = text.chars().filter(|character| character.is_alphabetic());
    let (all, beyond) = letters.fold((0_usize, 0_usize), |(all, beyond), letter| {
        (all + 1, beyond + usize::from(!letter.is_ascii()))
    });
    let plausible = all > 0 && beyond * 100 <= all * MOST_BEYOND_ASCII;
    plausible.then(|| text.into_owned())
}

fn has_utf8_sequences(valid: &[u8]) -> bool {
    !valid.is_ascii()
}

fn has_binary_controls(text: &str) -> bool {
    if text.contains('\0') {
        return true;
    }
    let controls = text
        .chars()
        .filter(|character| is_stray(*character))
        .count();
    controls > 0 && controls * CONTROLS_ONE_IN > text.chars().count()
}

/// A control character that no text needs.
fn is_stray(character: char) -> bool {
    character.is_control()
        && !matches!(character, '\n' | '\r' | '\t' | '\u{c}' | '\u{b}' | '\u{85}')
}

fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                tidied.push('\n');
            }
            '\u{c}' | '\u{b}' | '\u{85}' => tidied.push('\n'),
            '\u{feff}' => {}
            stray if is_stray(stray) => {}
            kept => tidied.push(kept),
        }
    }
    tidied
}
