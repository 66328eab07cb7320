//! Taking keys and noise out of what a provider said.

use secrecy::{ExposeSecret, SecretString};

/// What stands in place of a key.
const MARK: &str = "[key]";

/// The longest message that is kept, in characters.
const MESSAGE_CHARS: usize = 300;

/// The longest identifier that is kept, in bytes.
const IDENTIFIER_BYTES: usize = 64;

/// How much of a key's beginning gives it away.
const TELLING_PREFIX: usize = 6;

/// How the keys of well-known providers begin.
const KEY_PREFIXES: &[&str] = &["sk-", "sk_", "gsk_", "xai-", "AIza", "key-", "pplx-", "hf_"];

/// A provider's message, made fit to be shown to the client admin: without control characters,
/// bounded, and without the key, whole, in part, or masked as some providers repeat it.
pub(crate) fn message(text: &str, key: Option<&SecretString>) -> Option<String> {
    let key = key.map(ExposeSecret::expose_secret).unwrap_or_default();
    let without_key = match key.is_empty() {
        true => text.to_owned(),
        false => text.replace(key, MARK),
    };
    let words: Vec<&str> = without_key
        .split(|it: char| it.is_whitespace() || it.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| if gives_away(word, key) { MARK } else { word })
        .collect();
    let kept: String = words.join(" ").chars().take(MESSAGE_CHARS).collect();
    (!kept.is_empty()).then_some(kept)
}

/// A provider's name for a kind of failure, if it is one: letters, digits and a few marks, so that
/// nothing else gets into a log by this way.
pub(crate) fn identifier(text: &str, key: Option<&SecretString>) -> Option<String> {
    let key = key.map(ExposeSecret::expose_secret).unwrap_or_default();
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    let fits = !text.is_empty() && text.len() <= IDENTIFIER_BYTES && text.chars().all(plain);
    (fits && !gives_away(text, key)).then(|| text.to_owned())
}

fn gives_away(word: &str, key: &str) -> bool {
    let beginning = key.get(..TELLING_PREFIX);
    let bare = word.trim_start_matches(|it: char| !it.is_ascii_alphanumeric());
    word.contains("***")
        || beginning.is_some_and(|it| word.contains(it))
        || KEY_PREFIXES
            .iter()
            .any(|it| bare.starts_with(it) && bare.len() > it.len() + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_out_whole_in_part_and_masked() {
        let key = SecretString::from("abcdef-0123456789");
        let said = |text: &str| message(text, Some(&key)).unwrap();
        assert_eq!(said("key abcdef-0123456789 is bad"), "key [key] is bad");
        assert_eq!(said("key `abcdef-01…` is\nbad"), "key [key] is bad");
        assert_eq!(
            said("Incorrect API key provided: zz****89."),
            "Incorrect API key provided: [key]"
        );
        assert_eq!(said("not yours: sk-live-1234"), "not yours: [key]");
        assert_eq!(said("a\u{1b}[31mb\0c"), "a [31mb c");
        assert_eq!(said(&"é ".repeat(400)).chars().count(), MESSAGE_CHARS);
        assert_eq!(message(" \n", None), None);
    }

    #[test]
    fn only_names_pass_as_identifiers() {
        let key = SecretString::from("abcdef-0123456789");
        assert_eq!(
            identifier("rate_limit.x-1", None).as_deref(),
            Some("rate_limit.x-1")
        );
        for odd in ["", "two words", "abcdef-0123456789", "é", &"a".repeat(65)] {
            assert_eq!(identifier(odd, Some(&key)), None, "{odd}");
        }
    }
}
