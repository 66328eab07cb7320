//! Taking a tool's secrets out of what its server says.
//!
//! A server that repeats the request it was sent, as many do in their errors, would otherwise hand
//! its credentials to the model. Against a server that means to give them away nothing here helps,
//! and nothing needs to: it knows them already.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands in a secret's place.
pub const MARK: &str = "[secret]";

/// What is shorter than this is no secret, and part of too many words.
const SHORTEST: usize = 4;
/// The same for what is only a part of a value.
const SHORTEST_PART: usize = 8;
/// The most parts of one value that are looked for: each in a score of forms, in every answer.
const MOST_TOKENS: usize = 4;
const MOST_PIECES: usize = 8;
/// Everything but the characters that need no encoding (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Secrets, in every form in which they are looked for. There is no `Debug`.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The longest first, so that none is left over when its middle was taken out.
    forms: Vec<String>,
}

impl Secrets {
    /// The secrets in these values of headers: the values themselves, and what follows a scheme's
    /// name in them.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for value in values {
            for part in parts(value) {
                add_forms(&part, &mut forms);
            }
        }
        forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        Self { forms }
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.forms.extend(others.forms);
        self.forms
            .sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.forms.dedup();
        self
    }

    /// A text without them.
    #[must_use]
    pub fn taken_out_of(&self, text: String) -> String {
        self.forms.iter().fold(text, |text, form| {
            if text.contains(form.as_str()) {
                text.replace(form.as_str(), MARK)
            } else {
                text
            }
        })
    }

    /// Where a text ends that was cut, without the beginning of a secret at its end.
    pub(crate) fn end_before_half_of_one(&self, text: &str) -> usize {
        let halves = self.forms.iter().filter_map(|form| {
            let lengths = (SHORTEST..form.len()).rev();
            let mut halves = lengths.filter_map(|length| form.get(..length));
            halves.find(|half| text.ends_with(half)).map(str::len)
        });
        text.len() - halves.max().unwrap_or(0)
    }
}

/// A value, and what in it is a secret by itself.
fn parts(value: &str) -> Vec<String> {
    let mut found = vec![value.to_owned()];
    // `Bearer TOKEN`, `Basic CREDENTIALS`.
    let after_scheme = value.split_ascii_whitespace().skip(1).take(MOST_TOKENS);
    found.extend(after_scheme.map(str::to_owned));
    if let Some(("Basic" | "basic" | "BASIC", encoded)) = value.split_once(' ')
        && let Ok(decoded) = STANDARD.decode(encoded.trim())
        && let Ok(decoded) = String::from_utf8(decoded)
    {
        let password = decoded.split_once(':').map(|(_, password)| password);
        found.extend(password.map(str::to_owned));
        found.push(decoded);
    }
    found.retain(|part| part.len() >= SHORTEST);
    // `Token token="…"`, cookies.
    let pieces = value.split([' ', ';', ',', '=', '"']);
    let mut pieces: Vec<&str> = pieces.filter(|it| it.len() >= SHORTEST_PART).collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    found.extend(pieces.into_iter().take(MOST_PIECES).map(str::to_owned));
    found
}

fn add_forms(secret: &str, forms: &mut Vec<String>) {
    forms.push(secret.to_owned());
    let in_json = serde_json::Value::from(secret).to_string();
    let in_json = in_json.trim_matches('"').to_owned();
    forms.push(in_json.replace('/', "\\/"));
    forms.push(in_json);
    let in_html = secret.replace('&', "&amp;").replace('<', "&lt;");
    let in_html = in_html.replace('>', "&gt;");
    forms.push(in_html.replace('"', "&quot;").replace('\'', "&#39;"));
    forms.push(in_html.replace('"', "&#34;").replace('\'', "&#x27;"));
    let encoded = utf8_percent_encode(secret, RESERVED).to_string();
    forms.push(encoded.replace("%20", "+"));
    forms.push(in_lower_hex(&encoded));
    forms.push(encoded);
    forms.push(secret.bytes().map(|byte| format!("{byte:02x}")).collect());
    forms.push(secret.bytes().map(|byte| format!("{byte:02X}")).collect());
    for alphabet in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        // Encoded within a longer text, it looks different at each of three offsets.
        forms.extend((0..3).filter_map(|offset| in_base64(secret, offset, alphabet)));
    }
}

/// The characters of base64 that only the secret decides, where it begins `offset` bytes into a
/// group of three.
fn in_base64(secret: &str, offset: usize, alphabet: &GeneralPurpose) -> Option<String> {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret.as_bytes());
    let encoded = alphabet.encode(&bytes);
    let first = (offset * 8).div_ceil(6);
    let last = encoded.len() - usize::from(!bytes.len().is_multiple_of(3));
    let core = encoded.get(first..last)?;
    (core.len() > SHORTEST).then(|| core.to_owned())
}

/// `%2F` as `%2f`; what is not an escape stays.
fn in_lower_hex(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut lower = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        lower.push('%');
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE;

    fn without(value: &str, text: &str) -> String {
        Secrets::of([value]).taken_out_of(text.to_owned())
    }

    #[test]
    fn a_secret_is_taken_out_whole_and_behind_its_scheme() {
        let value = "Bearer sk/live+01234567";
        assert_eq!(
            without(value, "got Bearer sk/live+01234567."),
            "got [secret]."
        );
        assert_eq!(
            without(value, r#"{"t":"sk/live+01234567"}"#),
            r#"{"t":"[secret]"}"#
        );
        assert_eq!(
            without(value, r#"{"t":"sk\/live+01234567"}"#),
            r#"{"t":"[secret]"}"#
        );
        assert_eq!(without("Bearer a1b2", "a1b2"), MARK);
        assert_eq!(without(r#"Token token="abcdefgh""#, "abcdefgh"), MARK);
        assert_eq!(without("sid=abcdefgh; b=2", "abcdefgh"), MARK);
    }

    #[test]
    fn a_secret_is_taken_out_encoded() {
        let value = "Bearer p&ss/w\"rd+<>=é 1";
        let token = "p&ss/w\"rd+<>=é";
        for form in [
            "p%26ss%2Fw%22rd%2B%3C%3E%3D%C3%A9",
            "p%26ss%2fw%22rd%2b%3c%3e%3d%c3%a9",
            "p&amp;ss/w&quot;rd+&lt;&gt;=é",
            r#"p&ss/w\"rd+<>=é"#,
        ] {
            assert_eq!(without(value, form), MARK, "{form}");
        }
        let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(without(value, &hex), MARK);
        // As a part of something longer, at each offset: none of it that tells anything is left.
        for before in ["", "a", "ab", "abc"] {
            let whole = format!("{before}{token}, and more");
            for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                assert!(without(value, &encoded).contains(MARK), "{encoded}");
            }
        }
    }

    #[test]
    fn a_password_inside_of_basic_credentials_is_a_secret_too() {
        let value = format!("Basic {}", STANDARD.encode("user:correct horse"));
        assert_eq!(without(&value, "pw: correct horse!"), "pw: [secret]!");
        assert_eq!(without(&value, "user:correct horse"), MARK);
        assert_eq!(without(&value, &value), MARK);
    }

    #[test]
    fn half_a_secret_at_the_end_of_a_text_is_found() {
        let secrets = Secrets::of(["Bearer abcdefgh"]);
        let kept = |text: &str| text[..secrets.end_before_half_of_one(text)].to_owned();
        assert_eq!(kept("token abcdef"), "token ");
        assert_eq!(kept("is Bearer abcdefg"), "is ");
        assert_eq!(kept("token abc"), "token abc");
        assert_eq!(kept("nothing"), "nothing");
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_stays() {
        assert_eq!(without("1", "1 of 10"), "1 of 10");
        assert_eq!(without("", "nothing"), "nothing");
    }
}
