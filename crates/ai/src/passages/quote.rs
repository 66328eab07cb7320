//! Finding the sentences of a passage that speak of what was asked.

/// A quotation of about so many characters is enough; whole sentences may be shorter.
const ENOUGH_CHARS: usize = 300;

/// A single sentence is cut at so many characters.
const MOST_CHARS: usize = 600;

/// Words that say nothing about what a question is about.
const COMMON: &[&str] = &[
    "about", "and", "any", "are", "but", "can", "could", "did", "does", "for", "from", "get",
    "had", "has", "have", "her", "his", "how", "into", "its", "many", "may", "much", "not", "our",
    "out", "please", "shall", "should", "some", "tell", "than", "that", "the", "their", "them",
    "then", "there", "they", "this", "was", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "would", "you", "your",
];

/// What a question is about.
pub(super) struct Question {
    terms: Vec<String>,
}

/// A quotation, and how much it has of what was asked: 0 is nothing by the words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) score: usize,
    pub(super) text: String,
}

impl Question {
    pub(super) fn new(question: &str) -> Self {
        let mut terms: Vec<String> = words(question)
            .filter(|it| it.chars().count() > 2 || it.chars().any(|c| c.is_numeric()))
            .filter(|it| !COMMON.contains(&it.as_str()))
            .collect();
        terms.sort_unstable();
        terms.dedup();
        Self { terms }
    }

    /// The best run of sentences of `text`; `None` where it has no sentence.
    pub(super) fn quote(&self, text: &str) -> Option<Quote> {
        let sentences = sentences(text);
        let scores: Vec<usize> = sentences.iter().map(|it| self.score(it)).collect();
        let score = scores.iter().copied().max()?;
        let start = scores.iter().position(|it| *it == score)?;
        let mut quoted = String::new();
        for sentence in &sentences[start..] {
            let length = quoted.chars().count() + sentence.chars().count();
            if !quoted.is_empty() && length > ENOUGH_CHARS {
                break;
            }
            if !quoted.is_empty() {
                quoted.push(' ');
            }
            quoted.push_str(sentence);
        }
        Some(Quote {
            score,
            text: without_marks(&shortened(quoted)),
        })
    }

    /// How many letters of the question's terms are in `sentence`: longer words say more.
    fn score(&self, sentence: &str) -> usize {
        let words: Vec<String> = words(sentence).collect();
        self.terms
            .iter()
            .filter(|term| words.iter().any(|it| alike(term, it)))
            .map(|term| term.chars().count())
            .sum()
    }
}

/// Whether one is the other, or its beginning with a short ending: “return” and “returns”.
fn alike(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short == long || (short.len() >= 4 && long.len() - short.len() <= 4 && long.starts_with(short))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase)
}

/// The sentences of a passage of Markdown: without headings and the rules of tables, a list's item
/// and a table's row each for itself.
fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut paragraph = String::new();
    for line in text.lines().chain([""]) {
        let line = line.trim();
        let begins_anew = line.is_empty() || line.starts_with(['#', '-', '*', '>', '|']);
        if begins_anew {
            split(&paragraph, &mut found);
            paragraph.clear();
        }
        let has_words = line.chars().any(char::is_alphanumeric);
        if line.starts_with('#') || !has_words {
            continue;
        }
        if !paragraph.is_empty() {
            paragraph.push(' ');
        }
        let marks =
            |it: char| matches!(it, '-' | '>' | '|' | ' ') || it == '*' && line.starts_with("* ");
        let bare = line.trim_start_matches(marks).trim_end_matches(['|', ' ']);
        paragraph.push_str(&bare.replace(" | ", " · "));
    }
    found
}

/// Splits a paragraph after `.`, `!` or `?` before a space and what may begin a sentence, and after
/// their full-width forms.
fn split(paragraph: &str, found: &mut Vec<String>) {
    let mut start = 0;
    let mut characters = paragraph.char_indices().peekable();
    while let Some((index, character)) = characters.next() {
        let end = index + character.len_utf8();
        let rest = &paragraph[end..];
        let is_end = match character {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => {
                let next = rest.strip_prefix(' ').and_then(|it| it.chars().next());
                next.is_some_and(|it| !it.is_lowercase())
            }
            _ => false,
        };
        if is_end || characters.peek().is_none() {
            let sentence = paragraph[start..end].trim();
            if !sentence.is_empty() {
                found.push(sentence.to_owned());
            }
            start = end;
        }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

/// `text` with `[7]` as `(7)`, which would else be taken for a citation of ours.
fn without_marks(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let inside = after.split_once(']');
        match inside.filter(|(it, _)| !it.is_empty() && it.chars().all(|c| c.is_ascii_digit())) {
            Some((number, behind)) => {
                plain.push_str(&format!("({number})"));
                rest = behind;
            }
            None => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markdown_is_read_as_sentences() {
        let text = "# Sizes\nOur tents, e.g. the Fjell, are\nlarge. Really! See below\n\n- one person\n- two\n\n| Size | Width |\n|---|---|\n| M | 80 cm |\n\n返品は60日以内です。送料は無料。";
        assert_eq!(
            sentences(text),
            [
                "Our tents, e.g. the Fjell, are large.",
                "Really!",
                "See below",
                "one person",
                "two",
                "Size · Width",
                "M · 80 cm",
                "返品は60日以内です。",
                "送料は無料。",
            ]
        );
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let quote = Question::new("x").quote(&"é".repeat(2000)).unwrap();
        assert_eq!(quote.text.chars().count(), MOST_CHARS + 1);
        assert_eq!(quote.score, 0);
    }

    #[test]
    fn marks_of_others_are_changed_and_links_are_not() {
        assert_eq!(without_marks("a [1] b [x](y) [ [2"), "a (1) b [x](y) [ [2");
        assert_eq!(without_marks("[[3]] []"), "[(3)] []");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC{0,200}(\n|\\. |\\[1\\]|# |- |\\PC){0,40}", question in "\\PC{0,40}") {
            if let Some(quote) = Question::new(&question).quote(&text) {
                prop_assert!(quote.text.chars().count() <= MOST_CHARS + ENOUGH_CHARS);
            }
        }
    }
}
