//! What a server said, made fit for a model: bounded, readable, and without secrets.

use encoding_rs::{Encoding, UTF_8};
use http::header;
use stoa_outbound::{FetchError, Fetched};

use crate::secrets::Secrets;

/// The most bytes of a body that are read.
pub const MOST_READ: usize = 256 * 1024;
/// The most bytes that a model is told.
pub const MOST_TOLD: usize = 16 * 1024;

/// The most bytes in which secrets are looked for. What is left of them is what a model is told, or
/// more.
const MOST_SEARCHED: usize = 64 * 1024;
/// What stands at the end of a text that was cut.
const CUT: &str = "\n[The rest is left out: this was longer than 16 KiB.]";
/// The longest media type that is repeated.
const LONGEST_MEDIA_TYPE: usize = 80;

/// A body, as far as it was read.
pub(crate) enum Body {
    /// Text, decoded, without secrets.
    Text(String),
    /// Something else.
    Other {
        /// What the server calls it; empty where it does not say.
        media_type: String,
        /// How long it is.
        bytes: usize,
        /// Whether it is longer than that.
        more: bool,
    },
}

/// Reads a body, but no more of it than is of use.
pub(crate) async fn read(mut fetched: Fetched, secrets: &Secrets) -> Result<Body, FetchError> {
    let media_type = fetched.media_type();
    let encoding = charset(&fetched);
    let (mut bytes, mut more) = (Vec::new(), false);
    while let Some(piece) = fetched.chunk().await? {
        let room = MOST_READ - bytes.len();
        more = piece.len() > room;
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if more {
            break;
        }
    }
    if !is_text(&media_type, &bytes) {
        return Ok(Body::Other {
            media_type: media_type.chars().take(LONGEST_MEDIA_TYPE).collect(),
            bytes: bytes.len(),
            more,
        });
    }
    let (text, ..) = encoding.decode(&bytes);
    Ok(Body::Text(cleaned(&text, more, secrets)))
}

/// A text that a model may be told: without control characters and secrets, and cut where it is too
/// long.
#[must_use]
pub fn told(text: &str, secrets: &Secrets) -> String {
    cut(cleaned(text, false, secrets))
}

/// A text without what is not shown and without secrets, and no longer than is of use; `more` when
/// it was cut already.
fn cleaned(text: &str, mut more: bool, secrets: &Secrets) -> String {
    let text = text.replace("\r\n", "\n");
    let mut text: String = text.chars().filter(|it| is_shown(*it)).collect();
    if text.len() > MOST_SEARCHED {
        truncate(&mut text, MOST_SEARCHED);
        more = true;
    }
    let mut text = secrets.taken_out_of(text);
    if more {
        // Half a character, or half a secret, which was not found for want of its end.
        text.truncate(text.trim_end_matches('\u{FFFD}').len());
        text.truncate(secrets.end_before_half_of_one(&text));
    }
    text
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_TOLD {
        truncate(&mut text, MOST_TOLD - CUT.len());
        text.push_str(CUT);
    }
    text
}

/// Cuts a text at `end`, or before the character that stands there.
fn truncate(text: &mut String, mut end: usize) {
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// Neither a control character nor one of those that people do not see and that turn text around or
/// hide words in it.
fn is_shown(it: char) -> bool {
    let is_unseen = matches!(it,
        '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}');
    matches!(it, '\n' | '\t') || !it.is_control() && !is_unseen
}

fn charset(fetched: &Fetched) -> &'static Encoding {
    let value = fetched.headers().get(header::CONTENT_TYPE);
    let value = value.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let label = value.split(';').skip(1).find_map(|parameter| {
        let (name, label) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| label.trim().trim_matches('"'))
    });
    label
        .and_then(|it| Encoding::for_label(it.as_bytes()))
        .unwrap_or(UTF_8)
}

/// Whether a body of this media type is words. One without any is what it looks like.
fn is_text(media_type: &str, bytes: &[u8]) -> bool {
    match media_type.split_once('/') {
        Some(("text", _)) => true,
        Some(("application", kind)) => {
            kind.ends_with("+json")
                || kind.ends_with("+xml")
                || matches!(
                    kind,
                    "json"
                        | "xml"
                        | "yaml"
                        | "x-yaml"
                        | "x-ndjson"
                        | "jsonlines"
                        | "javascript"
                        | "graphql"
                        | "x-www-form-urlencoded"
                )
        }
        Some(_) => false,
        None => looks_like_text(bytes),
    }
}

fn looks_like_text(bytes: &[u8]) -> bool {
    let is_whole = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // A character that was cut at the end is no sign of anything.
        Err(error) => error.error_len().is_none(),
    };
    is_whole && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let none = Secrets::default();
        let exact = "a".repeat(MOST_TOLD);
        assert_eq!(told(&exact, &none), exact);
        for unit in ["é", "€", "😀", "ab"] {
            let cut = told(&unit.repeat(MOST_TOLD), &none);
            assert!(cut.len() <= MOST_TOLD, "{}", cut.len());
            assert!(cut.len() > MOST_TOLD - 8);
            assert!(cut.ends_with(CUT));
            assert!(cut.starts_with(unit));
        }
    }

    #[test]
    fn what_people_do_not_see_is_left_out_and_hides_no_secret() {
        let none = Secrets::default();
        assert_eq!(
            told("a\r\nb\tc\u{1b}[31m\0\u{202e}d\u{e0041}", &none),
            "a\nb\tc[31md"
        );
        let secrets = Secrets::of(["hunter22"]);
        assert_eq!(told("hun\0ter\u{200b}22", &secrets), "[secret]");
    }

    #[test]
    fn bodies_are_text_by_their_media_type_or_by_what_they_look_like() {
        for kind in [
            "text/html",
            "application/json",
            "application/problem+json",
            "image/svg+xml",
        ] {
            assert_eq!(is_text(kind, b"\0"), kind != "image/svg+xml", "{kind}");
        }
        for kind in ["application/pdf", "application/octet-stream", "image/png"] {
            assert!(!is_text(kind, b"words"), "{kind}");
        }
        assert!(is_text("", "words é".as_bytes()));
        assert!(is_text("", &"é".as_bytes()[..1]));
        assert!(!is_text("", b"GIF\0") && !is_text("", b"\xff\xfe!"));
    }
}
