//! The headers that a client sets for its tool. Their values are secrets.

use std::collections::{BTreeMap, HashSet};

use http::{HeaderName, HeaderValue};
use stoa_domain::Violation;
use stoa_outbound::FetchRequest;

use crate::secrets::Secrets;

const MOST: usize = 20;
const LONGEST_NAME: usize = 100;
const LONGEST_VALUE: usize = 4_096;
/// Values that are shorter show fewer than their last four characters.
const SHORTEST_FOR_HINT: usize = 8;

/// Headers that say how a message is carried, or that are set here for each request.
const NOT_THEIRS: [&str; 20] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "cookie2",
    "date",
    "expect",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that nobody puts a secret in, and whose values are words that answers are full of.
const NO_SECRETS: [&str; 4] = ["accept", "accept-language", "content-type", "user-agent"];

/// Headers that may be sent. They hold secrets, so there is no `Debug`.
#[derive(Clone, Default)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Examines headers by name.
    ///
    /// # Errors
    /// Each one that is not right, in a sentence that does not repeat its value.
    pub fn parse(headers: &BTreeMap<String, String>) -> Result<Self, Vec<Violation>> {
        let (mut parsed, mut violations) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        if headers.len() > MOST {
            violations.push(wrong("", &format!("at most {MOST} headers")));
        }
        for (name, value) in headers.iter().take(MOST) {
            match header(name, value) {
                Ok((name, value)) if seen.insert(name.clone()) => parsed.push((name, value)),
                Ok((name, _)) => violations.push(wrong(
                    name.as_str(),
                    "given twice: upper and lower case are the same",
                )),
                Err(message) => violations.push(wrong(name, message)),
            }
        }
        if violations.is_empty() {
            Ok(Self(parsed))
        } else {
            Err(violations)
        }
    }

    /// A request with them.
    #[must_use]
    pub fn put_on(&self, request: FetchRequest) -> FetchRequest {
        let with = |request: FetchRequest, (name, value): &(HeaderName, HeaderValue)| {
            request.header(name.clone(), value.clone())
        };
        self.0.iter().fold(request, with)
    }

    /// Their values, to be taken out of what a server says.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        let values = self
            .0
            .iter()
            .filter(|(name, _)| !NO_SECRETS.contains(&name.as_str()))
            .filter_map(|(_, value)| value.to_str().ok());
        Secrets::of(values)
    }
}

/// The last characters of a value, by which people tell theirs apart. A scheme before the secret, as in
/// `Bearer …`, does not make a short secret a long one.
#[must_use]
pub fn hint(value: &str) -> String {
    let secret = value.rsplit(' ').next().unwrap_or_default();
    let characters: Vec<char> = secret.chars().collect();
    let shown = if characters.len() < SHORTEST_FOR_HINT {
        characters.len() / 2
    } else {
        4
    };
    characters[characters.len() - shown..].iter().collect()
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = match HeaderName::try_from(name) {
        Ok(name) if name.as_str().len() <= LONGEST_NAME => name,
        _ => return Err("a header's name is letters, digits and hyphens"),
    };
    if NOT_THEIRS.contains(&name.as_str()) {
        return Err("this header is set for each request, or says how a message is carried");
    }
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let fits = (1..=LONGEST_VALUE).contains(&value.len())
        && value.bytes().all(is_plain)
        && value.trim() == value;
    let mut parsed = match HeaderValue::try_from(value) {
        Ok(parsed) if fits => parsed,
        _ => {
            return Err(
                "1 to 4,096 letters, digits and signs of ASCII, without line breaks and without spaces at the ends",
            );
        }
    };
    parsed.set_sensitive(true);
    Ok((name, parsed))
}

fn wrong(name: &str, message: &str) -> Violation {
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| byte.is_ascii_graphic());
    Violation {
        field: if is_name {
            format!("headers.{name}")
        } else {
            "headers".to_owned()
        },
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<Headers, Vec<String>> {
        let headers = headers.iter().map(|(name, value)| (*name, *value));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Headers::parse(&headers.collect())
            .map_err(|wrong| wrong.into_iter().map(|it| it.field).collect())
    }

    #[test]
    fn what_carries_a_message_is_not_the_clients_to_set() {
        for name in NOT_THEIRS
            .into_iter()
            .chain(["Host", "Content-Length", "TE"])
        {
            let refused = parse(&[(name, "x")]).err().unwrap();
            assert_eq!(refused, [format!("headers.{name}")]);
        }
        for name in ["", "a b", "é", "a:b", "a\r\nb", &"a".repeat(101)] {
            assert!(parse(&[(name, "x")]).is_err(), "{name:?}");
        }
        assert_eq!(
            parse(&[("X-Key", "a"), ("x-key", "b")])
                .err()
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn a_value_cannot_begin_another_header() {
        for value in [
            "",
            "a\r\nX: b",
            "a\nb",
            "a\0b",
            "a\tb",
            " a",
            "a ",
            "é",
            "\u{7f}",
            &"a".repeat(4_097),
        ] {
            assert!(parse(&[("Authorization", value)]).is_err(), "{value:?}");
        }
        assert!(parse(&[("Authorization", "Bearer abc.DEF-123=")]).is_ok());
        let many: Vec<String> = (0..21).map(|at| format!("X-{at}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "a")).collect();
        assert!(parse(&many).is_err());
        assert!(parse(&many[..20]).is_ok());
    }

    #[test]
    fn a_hint_shows_less_than_half() {
        for (value, shown) in [
            ("Bearer abcd1234", "1234"),
            ("Bearer abc", "c"),
            ("abc", "c"),
            ("a", ""),
            ("é€é", "é"),
        ] {
            assert_eq!(hint(value), shown);
        }
    }
}
