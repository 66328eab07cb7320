//! Which of its sources an answer cites, by marks such as `[1]`.
//!
//! The text itself is never changed: a mark that names no source stays as it is and is shown as
//! plain text. What looks like one may be a list's index, a year or a footnote, and a text that is
//! altered on its way would have to be held back on its way.

use std::collections::BTreeSet;

use super::event::Source;

/// The most characters inside a mark's brackets.
const LONGEST_MARK: usize = 40;

/// The sources with a note on each of whether the answer was drawn from it: those that the text
/// cites, all of them where it cites none, and none where they are `unused`: where it says that nothing
/// was found, or was drawn from what tools gave.
#[must_use]
pub fn noted(sources: &[Source], text: &str, unused: bool) -> Vec<Source> {
    let cited = cited(text);
    let is_cited = |source: &Source| is_among(source, &cited);
    let cites_any = sources.iter().any(is_cited);
    let note = |source: &Source| Source {
        used: !unused && (!cites_any || is_cited(source)),
        ..source.clone()
    };
    sources.iter().map(note).collect()
}

/// Whether a text cites any of these sources.
#[must_use]
pub fn cites_any(sources: &[Source], text: &str) -> bool {
    let cited = cited(text);
    sources.iter().any(|it| is_among(it, &cited))
}

fn is_among(source: &Source, cited: &BTreeSet<usize>) -> bool {
    let number = source.source_id.parse::<usize>();
    number.is_ok_and(|number| cited.contains(&number))
}

/// The numbers in marks such as `[1]`, `[1, 2]`, `[1-3]` and `【1】`, wherever they stand but in code.
fn cited(text: &str) -> BTreeSet<usize> {
    let mut numbers = BTreeSet::new();
    for prose in outside_code(text) {
        for (opening, closing) in [('[', ']'), ('【', '】')] {
            for (place, _) in prose.match_indices(opening) {
                let after = &prose[place + opening.len_utf8()..];
                let Some(end) = after.find(closing).filter(|end| *end <= LONGEST_MARK) else {
                    continue;
                };
                let is_link = after[end + closing.len_utf8()..].starts_with('(');
                if !is_link {
                    numbers.extend(mark(&after[..end]).into_iter().flatten());
                }
            }
        }
    }
    numbers
}

/// The numbers of one mark, or `None` when it is something else.
fn mark(inside: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in inside.split([',', ';']) {
        // OpenAI's models add where in the source: `1†lines 3-4`.
        let part = part.split('†').next().unwrap_or_default().trim();
        let part = part.strip_prefix('^').unwrap_or(part);
        match part.split_once(['-', '–']) {
            None => numbers.push(number(part)?),
            Some((first, last)) => numbers.extend(number(first)?..=number(last)?),
        }
    }
    Some(numbers)
}

/// A source's number has at most two digits.
fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The runs of text that stand between backticks' pairs, fenced or inline.
fn outside_code(text: &str) -> impl Iterator<Item = &str> {
    // A run of backticks opens or closes; an unclosed one opens nothing.
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find('`') {
        let ticks = rest[begin..].len() - rest[begin..].trim_start_matches('`').len();
        let fence = "`".repeat(ticks);
        let after = &rest[begin + ticks..];
        runs.push(&rest[..begin]);
        rest = after
            .find(&fence)
            .map_or(after, |end| &after[end + ticks..]);
    }
    runs.push(rest);
    runs.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_domain::{Clock, DocumentId, Random};

    fn sources(count: usize) -> Vec<Source> {
        let document_id = DocumentId::generate(&Clock::system(), &Random::seeded(1));
        let source = |number: usize| Source {
            source_id: number.to_string(),
            document_id,
            title: "T".into(),
            media_type: "text/plain".into(),
            url: None,
            text: "t".into(),
            used: true,
        };
        (1..=count).map(source).collect()
    }

    fn used(text: &str) -> Vec<String> {
        let noted = noted(&sources(4), text, false);
        let used = noted.into_iter().filter(|source| source.used);
        used.map(|source| source.source_id).collect()
    }

    #[test]
    fn those_that_are_cited_are_used_and_all_where_none_is() {
        assert_eq!(used("60 days [2]. Free[4]."), ["2", "4"]);
        assert_eq!(used("a [1, 3] b"), ["1", "3"]);
        assert_eq!(
            used("a [1-2][4] 【3†lines 1-2】 [^1]"),
            ["1", "2", "3", "4"]
        );
        assert_eq!(used("nothing cited"), ["1", "2", "3", "4"]);
        assert_eq!(used("only what is not there [9]"), ["1", "2", "3", "4"]);
        assert_eq!(used("there [1] and not there [9]"), ["1"]);
    }

    #[test]
    fn what_is_no_mark_cites_nothing() {
        for text in [
            "`list[1]` and ```\nx[2]\n``` [3]",
            "[1](https://example.com) [3]",
            "in [2026] and [a] and [] and [1 [3]",
        ] {
            assert_eq!(used(text), ["3"], "{text}");
        }
        assert_eq!(used("an `unclosed [2]"), ["2"]);
        assert_eq!(used(&"[".repeat(5_000)).len(), 4);
    }

    #[test]
    fn an_answer_that_says_that_nothing_was_found_used_nothing() {
        let noted = noted(&sources(2), "Nothing [1].", true);
        assert!(noted.iter().all(|source| !source.used));
        assert_eq!(
            noted.len(),
            2,
            "what came before the text is kept for its replay"
        );
    }
}
