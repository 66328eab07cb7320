//! Addresses with placeholders: `https://api.example.com/orders/{order_id}?full={full}`.
//!
//! A placeholder stands in the path or for a value of the query, never in the scheme, the host, the
//! port, a user or a fragment: where a call goes is the client's word and nobody else's. What is put
//! into one stays in its segment or value, whatever it is.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

/// The most characters of an address with its placeholders, and of one that is called.
const LONGEST: usize = 2_000;
const LONGEST_CALLED: usize = 8_000;
/// Everything but the characters that mean themselves everywhere (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// An address with placeholders. It can hold secrets, so there is no `Debug`.
#[derive(Clone)]
pub(super) struct Address {
    /// The address with `x` in every placeholder, against which each filled one is judged.
    sample: Url,
    /// The scheme, the host and the port, as they are written before the path.
    origin: String,
    segments: Vec<Vec<Part>>,
    query: Vec<Pair>,
}

/// A piece of a segment or of a value.
#[derive(Clone, PartialEq, Eq)]
enum Part {
    /// As it is written.
    Fixed(String),
    /// What the argument of this name holds.
    Argument(String),
}

#[derive(Clone)]
struct Pair {
    /// As it is written.
    name: String,
    /// `None` for a name without `=`.
    value: Option<Vec<Part>>,
}

/// Why arguments do not make an address: the field, and a sentence for the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) field: String,
    pub(super) message: &'static str,
}

impl Address {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let is_odd = |it: char| it.is_whitespace() || it.is_control() || matches!(it, '\\' | '#');
        if text.len() > LONGEST || text.chars().any(is_odd) {
            return Err(
                "an address of at most 2,000 characters, without spaces, backslashes and a fragment",
            );
        }
        let scheme = ["https://", "http://"].into_iter().find(|scheme| {
            let beginning = text.get(..scheme.len());
            beginning.is_some_and(|it| it.eq_ignore_ascii_case(scheme))
        });
        let scheme = scheme.ok_or("an address that begins with https://")?;
        let rest = &text[scheme.len()..];
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains(['{', '}', '@']) {
            return Err(
                "no placeholder and no user before the path: where a call goes is fixed, and credentials go into headers",
            );
        }
        if authority.is_empty() {
            // The parser would take the first segment for the host.
            return Err("an address with a host");
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let segments: Result<Vec<_>, _> = path
            .strip_prefix('/')
            .unwrap_or(path)
            .split('/')
            .map(parts)
            .collect();
        let pairs: Result<Vec<_>, _> = query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter(|pair| !pair.is_empty())
            .map(Pair::parse)
            .collect();
        let (segments, query) = (segments?, pairs?);
        let origin = format!("{scheme}{authority}");
        let written = write(&origin, &segments, &query, &mut |_| {
            Ok(Some("x".to_owned()))
        });
        let sample = written
            .ok()
            .and_then(|it| Url::parse(&it).ok())
            .filter(|it| it.host_str().is_some_and(|host| !host.is_empty()))
            .filter(|it| count_segments(it) == segments.len())
            .filter(|_| !segments.iter().any(|it| is_fixed_step(it)))
            .ok_or("an address such as “https://api.example.com/orders/{order_id}”, without . and .. in the path")?;
        Ok(Self {
            sample,
            origin,
            segments,
            query,
        })
    }

    /// The address with something harmless in every placeholder.
    pub(super) const fn sample(&self) -> &Url {
        &self.sample
    }

    /// The host.
    pub(super) fn host(&self) -> &str {
        self.sample.host_str().unwrap_or_default()
    }

    /// The names of all placeholders.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        let values = self.query.iter().filter_map(|pair| pair.value.as_ref());
        arguments_in(self.segments.iter().chain(values))
    }

    /// The names of the placeholders in the path, without which there is no address.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        arguments_in(self.segments.iter())
    }

    /// Whether the query has a part of this name, in whichever case: many servers do not care.
    pub(super) fn has_query(&self, name: &str) -> bool {
        let mut names = self.sample.query_pairs().map(|(name, _)| name);
        names.any(|it| it.to_lowercase() == name.to_lowercase())
    }

    /// What in it may be a secret: fixed values of the query whose names say so, and long fixed
    /// segments of letters and digits, as those of addresses that are meant to be guessed by nobody.
    pub(super) fn secrets(&self) -> Vec<String> {
        const TELLING: [&str; 8] = [
            "key", "token", "secret", "pass", "auth", "sig", "code", "cred",
        ];
        let named = self.sample.query_pairs().filter_map(|(name, value)| {
            let name = name.to_lowercase();
            let tells = TELLING.iter().any(|it| name.contains(it));
            (tells && value != "x").then(|| value.into_owned())
        });
        let segments = self.sample.path_segments().into_iter().flatten();
        let odd = segments.filter(|it| {
            it.len() >= 16
                && it.bytes().any(|it| it.is_ascii_digit())
                && it.bytes().any(|it| it.is_ascii_alphabetic())
        });
        named.chain(odd.map(str::to_owned)).collect()
    }

    /// The address for these arguments, and with further parts of the query.
    ///
    /// A part of the query that is nothing but a placeholder without an argument is left out.
    pub(super) fn fill(
        &self,
        input: &Map<String, Value>,
        more: &[(String, String)],
    ) -> Result<Url, Misfit> {
        let mut value = |name: &str| match input.get(name) {
            None => Ok(None),
            Some(value) => plain(name, value),
        };
        let mut written = write(&self.origin, &self.segments, &self.query, &mut value)?;
        let mut separator = if written.contains('?') { '&' } else { '?' };
        for (name, value) in more {
            written.push(separator);
            written.extend(utf8_percent_encode(name, RESERVED));
            written.push('=');
            written.extend(utf8_percent_encode(value, RESERVED));
            separator = '&';
        }
        if written.len() > LONGEST_CALLED {
            return Err(Misfit::of(
                "",
                "too much for an address: shorten the arguments",
            ));
        }
        let url = Url::parse(&written).ok();
        url.filter(|url| self.is_of(url))
            .ok_or_else(|| Misfit::of("", "these arguments do not make an address"))
    }

    /// Whether a filled address leads where this one does. It is judged as it is parsed, since that
    /// is what is called.
    fn is_of(&self, url: &Url) -> bool {
        url.origin() == self.sample.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && count_segments(url) == self.segments.len()
    }
}

impl Pair {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(parts(value)?)),
            None => (text, None),
        };
        if name.is_empty() || name.contains(['{', '}']) {
            return Err("a placeholder in the query stands behind a name and =");
        }
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }

    /// Whether it is nothing but one placeholder.
    fn is_bare(&self) -> bool {
        matches!(self.value.as_deref(), Some([Part::Argument(_)]))
    }
}

impl Misfit {
    fn of(field: &str, message: &'static str) -> Self {
        Self {
            field: field.to_owned(),
            message,
        }
    }
}

/// An argument as the text that stands in an address.
pub(super) fn plain(name: &str, value: &Value) -> Result<Option<String>, Misfit> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(value) => Ok(Some(value.to_string())),
        Value::String(value) => Ok(Some(value.clone())),
        Value::Array(_) | Value::Object(_) => Err(Misfit::of(
            name,
            "stands in an address: a text, a number or a boolean, no list and no object",
        )),
    }
}

fn parts(text: &str) -> Result<Vec<Part>, &'static str> {
    const BRACES: &str =
        "placeholders such as {order_id}: letters, digits and underscores in braces";
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(BRACES)?;
        let is_name = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
        if !is_name || before.contains('}') {
            return Err(BRACES);
        }
        if !before.is_empty() {
            found.push(Part::Fixed(before.to_owned()));
        }
        found.push(Part::Argument(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return Err(BRACES);
    }
    if !rest.is_empty() {
        found.push(Part::Fixed(rest.to_owned()));
    }
    Ok(found)
}

fn arguments_in<'a>(pieces: impl Iterator<Item = &'a Vec<Part>>) -> impl Iterator<Item = &'a str> {
    pieces.flatten().filter_map(|part| match part {
        Part::Argument(name) => Some(name.as_str()),
        Part::Fixed(_) => None,
    })
}

type Argument<'a> = dyn FnMut(&str) -> Result<Option<String>, Misfit> + 'a;

/// Writes an address with what `argument` gives for each placeholder.
fn write(
    origin: &str,
    segments: &[Vec<Part>],
    query: &[Pair],
    argument: &mut Argument<'_>,
) -> Result<String, Misfit> {
    let mut written = origin.to_owned();
    for parts in segments {
        written.push('/');
        written.push_str(&segment(parts, argument)?);
    }
    let mut separator = '?';
    for pair in query {
        let Some(parts) = &pair.value else {
            written.push(separator);
            separator = '&';
            written.push_str(&pair.name);
            continue;
        };
        let mut value = String::new();
        let mut is_missing = false;
        for part in parts {
            match part {
                Part::Fixed(text) => value.push_str(text),
                Part::Argument(name) => match argument(name)? {
                    Some(text) => value.extend(utf8_percent_encode(&text, RESERVED)),
                    None if pair.is_bare() => is_missing = true,
                    None => return Err(Misfit::of(name, "is missing")),
                },
            }
        }
        if !is_missing {
            written.push(separator);
            separator = '&';
            written.push_str(&pair.name);
            written.push('=');
            written.push_str(&value);
        }
    }
    Ok(written)
}

/// A segment of the path. None is left empty by what is put into it, and none becomes a step up or
/// down, not even for a server that decodes a path before it looks for steps in it.
fn segment(parts: &[Part], argument: &mut Argument<'_>) -> Result<String, Misfit> {
    let mut written = String::new();
    let mut last = None;
    for part in parts {
        match part {
            Part::Fixed(text) => written.push_str(text),
            Part::Argument(name) => {
                let text = argument(name)?.ok_or_else(|| Misfit::of(name, "is missing"))?;
                written.extend(utf8_percent_encode(&text, RESERVED));
                last = Some(name);
            }
        }
    }
    let Some(name) = last else {
        return Ok(written);
    };
    if written.is_empty() {
        return Err(Misfit::of(
            name,
            "stands in an address and must not be empty",
        ));
    }
    if has_step(&written) {
        return Err(Misfit::of(
            name,
            "stands in an address and must not be . or ..",
        ));
    }
    Ok(written)
}

/// Whether a segment, or what a server might make of it, is a step to where it is or up. Some
/// servers leave out what follows a semicolon, or spaces.
fn has_step(segment: &str) -> bool {
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    decoded.split(['/', '\\']).any(|piece| {
        let piece = piece.split(';').next().unwrap_or_default();
        matches!(piece.trim(), "." | "..")
    })
}

fn is_fixed_step(parts: &[Part]) -> bool {
    matches!(parts, [Part::Fixed(text)] if has_step(text))
}

fn count_segments(url: &Url) -> usize {
    url.path_segments().map_or(0, Iterator::count)
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
