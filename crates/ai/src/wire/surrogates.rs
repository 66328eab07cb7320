//! Halves of characters. JSON writes a character beyond the first 65,536 as two escapes, and a server
//! that cuts its text between them sends two pieces of which neither is text.

const HALF: usize = r"\u0000".len();

/// `json` with U+FFFD for each escape that is half a character; `None` where there is none.
pub(super) fn mended(json: &str) -> Option<String> {
    let mut mended = String::with_capacity(json.len());
    let (mut rest, mut has_halves) = (json, false);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        mended.push_str(before);
        let length = match unit(escape) {
            Some(0xd800..=0xdbff) if is_second_half(&escape[HALF..]) => 2 * HALF,
            Some(0xd800..=0xdfff) => {
                mended.push('\u{fffd}');
                has_halves = true;
                rest = &escape[HALF..];
                continue;
            }
            Some(_) => HALF,
            None => escape.char_indices().nth(2).map_or(escape.len(), |it| it.0),
        };
        mended.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    mended.push_str(rest);
    has_halves.then_some(mended)
}

/// The code unit of the `\\uXXXX` with which `text` begins.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(r"\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

fn is_second_half(text: &str) -> bool {
    matches!(unit(text), Some(0xdc00..=0xdfff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_whole_characters_kept() {
        for (json, expected) in [
            (r#""a\ud83e""#, "\"a\u{fffd}\""),
            (r#""\udd80b""#, "\"\u{fffd}b\""),
            (
                r#""\ud83e\ud83e\udd80\n\u00e9""#,
                "\"\u{fffd}\\ud83e\\udd80\\n\\u00e9\"",
            ),
            (r#""\\ud83e \ud83eé""#, "\"\\\\ud83e \u{fffd}é\""),
        ] {
            assert_eq!(mended(json).as_deref(), Some(expected), "{json}");
        }
        for json in [
            "",
            "\\",
            r#"{"a":"é"}"#,
            r#""\ud83e\udd80""#,
            r#""\\ud83e""#,
            r"\u12",
        ] {
            assert_eq!(mended(json), None, "{json}");
        }
    }
}
