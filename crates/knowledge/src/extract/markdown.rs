//! Markdown: kept as written, without its front matter and comments.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{Extracted, tidy_title};

/// The longest front matter that is taken for one, in lines.
const MAX_FRONT_MATTER: usize = 64;

const COMMENT_START: &str = "<!--";
const COMMENT_END: &str = "-->";

/// Front matter is data about the text, and comments are notes among its authors: neither is for a
/// bot to repeat to visitors.
pub(super) fn extract(text: &str) -> Extracted {
    let (front_matter, body) = split_front_matter(text);
    let body = without_comments(body);
    let title = front_matter
        .and_then(title_of_front_matter)
        .or_else(|| first_heading(&body));
    Extracted {
        title,
        markdown: body,
    }
}

/// Cuts off a YAML block between two lines of `---` at the very start.
fn split_front_matter(text: &str) -> (Option<&str>, &str) {
    let none = (None, text);
    let Some(rest) = text.strip_prefix("---\n") else {
        return none;
    };
    let mut end = 0;
    for line in rest.split_inclusive('\n').take(MAX_FRONT_MATTER) {
        let bare = line.trim_end();
        if bare == "---" || bare == "..." {
            return (Some(&rest[..end]), &rest[end + line.len()..]);
        }
        if !is_yaml_line(bare) {
            return none;
        }
        end += line.len();
    }
    none
}

fn is_yaml_line(line: &str) -> bool {
    let continues = line.starts_with([' ', '\t', '-', '#']);
    let has_key = line.split_once(':').is_some_and(|(key, _)| {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !key.is_empty() && key.chars().all(word)
    });
    continues || has_key
}

fn title_of_front_matter(front_matter: &str) -> Option<String> {
    let value = front_matter
        .lines()
        .find_map(|line| line.strip_prefix("title:"))?
        .trim();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    tidy_title(unquoted)
}

/// The text of the first heading of the first level.
fn first_heading(markdown: &str) -> Option<String> {
    let mut title: Option<String> = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match (event, &mut title) {
            (
                Event::Start(Tag::Heading {
                    level: HeadingLevel::H1,
                    ..
                }),
                None,
            ) => title = Some(String::new()),
            (Event::Text(text) | Event::Code(text), Some(title)) => title.push_str(&text),
            (Event::SoftBreak | Event::HardBreak, Some(title)) => title.push(' '),
            (Event::End(TagEnd::Heading(_)), Some(title)) => return tidy_title(title),
            _ => {}
        }
    }
    None
}

/// Removes `<!-- … -->` outside code.
fn without_comments(markdown: &str) -> String {
    let mut kept = String::with_capacity(markdown.len());
    let mut from = 0;
    for comment in comments(markdown) {
        if comment.start >= from {
            kept.push_str(&markdown[from..comment.start]);
            from = comment.end;
        }
    }
    kept.push_str(&markdown[from..]);
    kept
}

fn comments(markdown: &str) -> Vec<Range<usize>> {
    if !markdown.contains(COMMENT_START) {
        return Vec::new();
    }
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
        .into_offset_iter()
        .filter(|(event, _)| matches!(event, Event::InlineHtml(_) | Event::Start(Tag::HtmlBlock)))
        .flat_map(|(_, range)| comments_within(markdown, range))
        .collect()
}

/// The comments in a stretch of HTML. One that never ends is a slip, and kept with all after it.
fn comments_within(markdown: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = range.start;
    while let Some(at) = markdown[from..range.end].find(COMMENT_START) {
        let start = from + at;
        let inside = start + COMMENT_START.len();
        let Some(length) = markdown[inside..range.end].find(COMMENT_END) else {
            break;
        };
        from = inside + length + COMMENT_END.len();
        found.push(start..from);
    }
    found
}
