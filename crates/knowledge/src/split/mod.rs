//! Markdown to passages: pieces small enough to search by meaning and to put before a model, cut
//! where the text itself is cut.
//!
//! One section is one passage where it fits, so that an answer is cited from under its own heading;
//! sections of a few words join their neighbours; a section that is too long is cut between blocks,
//! then lines, sentences, words. Nothing but blanks is ever left out.

mod outline;
mod tokens;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use text_splitter::{ChunkConfig, MarkdownSplitter};

use outline::{Outline, Section, Table, outline};
use tokens::Estimate;

pub use tokens::estimate_tokens;

/// The most text that is given to the splitter at once, in bytes. It looks at all the rest of its
/// text for every piece, so without this its time would grow with the square of a document.
const WINDOW: usize = 32 * 1024;

/// How passages are cut. All sizes are in estimated tokens, see [`estimate_tokens`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitSettings {
    /// No piece of the text is larger. A passage may be, by up to a quarter for the heading or
    /// table header that is put before it, and by a rounding of 2.
    pub target_tokens: usize,
    /// Neighbouring sections under this become one passage, when they stand under one heading.
    pub min_tokens: usize,
    /// About how much of the end of a piece the next one repeats, when a section is cut.
    pub overlap_tokens: usize,
}

impl Default for SplitSettings {
    /// 250 tokens, which the common embedding models take whole (256 the small ones).
    fn default() -> Self {
        SplitSettings {
            target_tokens: 250,
            min_tokens: 24,
            overlap_tokens: 30,
        }
    }
}

/// A piece of a document that is searched and cited as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Its place in the document, from 0.
    pub ordinal: u32,
    /// The headings that it stands under, outermost first.
    pub headings: Vec<String>,
    /// Its Markdown, without blanks around it. Where it begins in the middle of a table, the
    /// table's header is repeated.
    pub text: String,
    /// [`estimate_tokens`] of the text.
    pub token_count: usize,
}

impl Passage {
    /// The headings as people read them: `Returns > Refunds`; empty when there are none.
    #[must_use]
    pub fn heading_path(&self) -> String {
        self.headings.join(" > ")
    }
}

/// Cuts a Markdown text into passages. The same text and settings give the same passages.
#[must_use]
pub fn split(markdown: &str, settings: &SplitSettings) -> Vec<Passage> {
    let outline = outline(markdown);
    let mut passages = Vec::new();
    for group in groups(markdown, &outline.sections, settings) {
        for piece in pieces(markdown, &group, &outline, settings) {
            let text = piece.text(markdown);
            passages.push(Passage {
                ordinal: u32::try_from(passages.len()).unwrap_or(u32::MAX),
                headings: group.headings.clone(),
                token_count: estimate_tokens(&text),
                text,
            });
        }
    }
    passages
}

/// Neighbouring sections that become passages together.
struct Group {
    headings: Vec<String>,
    range: Range<usize>,
    /// Where the text begins after the headings at the front.
    body: usize,
    tokens: usize,
    has_text: bool,
}

/// A range of the text, and the table header to repeat before it.
struct Piece {
    range: Range<usize>,
    header: Option<Range<usize>>,
}

impl Piece {
    fn text(&self, markdown: &str) -> String {
        let text = &markdown[self.range.clone()];
        match &self.header {
            Some(header) => format!("{}\n{text}", markdown[header.clone()].trim_end()),
            None => text.to_owned(),
        }
    }
}

fn groups(markdown: &str, sections: &[Section], settings: &SplitSettings) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for section in sections {
        let tokens = estimate_tokens(&markdown[section.range.clone()]);
        let has_text = !markdown[section.body..section.range.end].trim().is_empty();
        match groups.last_mut() {
            // A heading alone says nothing: it goes before whatever comes next.
            Some(group) if !group.has_text => {
                group.headings.clone_from(&section.headings);
                group.range.end = section.range.end;
                group.body = section.body;
                group.tokens += tokens;
                group.has_text = has_text;
            }
            Some(group) if joins(group, section, tokens, settings) => {
                let shared = shared(&group.headings, &section.headings);
                group.headings.truncate(shared);
                group.range.end = section.range.end;
                group.tokens += tokens;
            }
            _ => groups.push(Group {
                headings: section.headings.clone(),
                range: section.range.clone(),
                body: section.body,
                tokens,
                has_text,
            }),
        }
    }
    groups
}

fn joins(group: &Group, section: &Section, tokens: usize, settings: &SplitSettings) -> bool {
    let both_small = group.tokens < settings.min_tokens && tokens < settings.min_tokens;
    let fits = group.tokens + tokens <= settings.target_tokens;
    both_small && fits && shared(&group.headings, &section.headings) > 0
}

/// How many headings two paths have in common from the outside.
fn shared(a: &[String], b: &[String]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn pieces(
    markdown: &str,
    group: &Group,
    outline: &Outline,
    settings: &SplitSettings,
) -> Vec<Piece> {
    let whole = trimmed(markdown, group.range.clone());
    if whole.is_empty() {
        return Vec::new();
    }
    if estimate_tokens(&markdown[whole.clone()]) <= settings.target_tokens {
        return vec![Piece {
            range: whole,
            header: None,
        }];
    }
    // The splitter would leave the headings in a piece of their own before a long paragraph.
    let front = &markdown[group.range.start..group.body];
    let short_front = estimate_tokens(front) <= settings.target_tokens / 4;
    let from = if short_front {
        group.body
    } else {
        group.range.start
    };
    let mut pieces: Vec<Piece> = Vec::new();
    for window in windows(markdown, from..group.range.end, &outline.blocks) {
        for range in cut(markdown, &window, settings) {
            let header = header_for(&outline.tables, &range, markdown, settings);
            pieces.push(Piece { range, header });
        }
    }
    if short_front && let Some(first) = pieces.first_mut() {
        first.range.start = whole.start;
        first.header = None;
    }
    without_contained(pieces)
}

/// Cuts one window by its structure.
fn cut(markdown: &str, window: &Range<usize>, settings: &SplitSettings) -> Vec<Range<usize>> {
    let target = settings.target_tokens.max(1);
    // Refused only when it is not under the target, which it is.
    let config = ChunkConfig::new(target)
        .with_overlap(settings.overlap_tokens.min((target - 1) / 2))
        .unwrap_or_else(|_| ChunkConfig::new(target));
    let splitter = MarkdownSplitter::new(config.with_sizer(Estimate { enough: target * 4 }));
    splitter
        .chunk_indices(&markdown[window.clone()])
        .map(|(at, text)| window.start + at..window.start + at + text.len())
        .filter(|range| !range.is_empty())
        .collect()
}

/// Leaves out the pieces that lie within their neighbours: a short one may be all of the overlap
/// that the next one repeats.
fn without_contained(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        kept.pop_if(|last| piece.range.start <= last.range.start);
        if kept
            .last()
            .is_none_or(|last| piece.range.end > last.range.end)
        {
            kept.push(piece);
        }
    }
    kept
}

/// Stretches of at most [`WINDOW`] bytes, cut before a block where one begins in the latter half,
/// else after a line, else a blank, else anywhere.
fn windows(markdown: &str, range: Range<usize>, blocks: &[usize]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = range.start;
    while range.end - start > WINDOW {
        let latest = markdown.floor_char_boundary(start + WINDOW);
        let earliest = markdown.floor_char_boundary(start + WINDOW / 2);
        let late = &markdown[earliest..latest];
        let block = blocks[..blocks.partition_point(|block| *block <= latest)].last();
        let end = block
            .copied()
            .filter(|block| *block > earliest)
            .or_else(|| late.rfind('\n').map(|at| earliest + at + 1))
            .or_else(|| late.rfind(' ').map(|at| earliest + at + 1))
            .unwrap_or(latest);
        windows.push(start..end);
        start = end;
    }
    windows.push(start..range.end);
    windows
}

/// The header of the table in whose later rows a piece begins, when it is short enough to repeat.
fn header_for(
    tables: &[Table],
    piece: &Range<usize>,
    markdown: &str,
    settings: &SplitSettings,
) -> Option<Range<usize>> {
    let before = tables.partition_point(|table| table.range.start <= piece.start);
    let table = tables[..before].last()?;
    let in_later_rows = piece.start >= table.header.end && piece.start < table.range.end;
    let short = estimate_tokens(&markdown[table.header.clone()]) <= settings.target_tokens / 4;
    (in_later_rows && short).then(|| table.header.clone())
}

fn trimmed(markdown: &str, range: Range<usize>) -> Range<usize> {
    let text = &markdown[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    let end = range.start + text.trim_end().len();
    start..end.max(start)
}

#[cfg(test)]
mod tests;
