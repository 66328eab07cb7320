//! The structure of a Markdown text: its sections, blocks and tables, as byte ranges.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The longest heading that is carried along, in characters.
const MAX_HEADING: usize = 160;

/// A heading and what follows it up to the next, or what comes before the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// The headings above and of this section, outermost first.
    pub(super) headings: Vec<String>,
    /// From its heading's first byte to the next heading's.
    pub(super) range: Range<usize>,
    /// Where its text begins, after its heading.
    pub(super) body: usize,
}

/// A table that is not within a list or quotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// All of it.
    pub(super) range: Range<usize>,
    /// Its header row and the line of dashes under it.
    pub(super) header: Range<usize>,
}

/// The structure of a whole text. Sections cover it without gap or overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) sections: Vec<Section>,
    pub(super) tables: Vec<Table>,
    /// Where blocks begin that lie in no other block, ascending.
    pub(super) blocks: Vec<usize>,
}

struct Heading {
    level: HeadingLevel,
    text: String,
    range: Range<usize>,
}

/// Reads the structure of a Markdown text.
pub(super) fn outline(markdown: &str) -> Outline {
    let mut headings: Vec<Heading> = Vec::new();
    let mut found = Outline::default();
    let mut depth = 0_usize;
    let mut in_heading = false;
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    found.blocks.push(range.start);
                    in_heading = note_block(&tag, range, &mut headings, &mut found.tables);
                } else if matches!(tag, Tag::TableHead) && depth == 1 {
                    note_table_header(markdown, &mut found.tables, range.end);
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                in_heading &= !matches!(tag, TagEnd::Heading(_));
            }
            Event::Text(text) | Event::Code(text) if in_heading => {
                push(&mut headings, &text);
            }
            Event::SoftBreak | Event::HardBreak if in_heading => push(&mut headings, " "),
            Event::Rule if depth == 0 => found.blocks.push(range.start),
            _ => {}
        }
    }
    found.sections = sections(markdown.len(), headings);
    found
}

/// Notes a heading or table; says whether it was a heading.
fn note_block(
    tag: &Tag<'_>,
    range: Range<usize>,
    headings: &mut Vec<Heading>,
    tables: &mut Vec<Table>,
) -> bool {
    match tag {
        Tag::Heading { level, .. } => {
            headings.push(Heading {
                level: *level,
                text: String::new(),
                range,
            });
            true
        }
        Tag::Table(_) => {
            let header = range.start..range.start;
            tables.push(Table { range, header });
            false
        }
        _ => false,
    }
}

/// The header ends with the line under its row.
fn note_table_header(markdown: &str, tables: &mut [Table], row_end: usize) {
    let Some(table) = tables.last_mut() else {
        return;
    };
    let rest = &markdown[row_end..table.range.end];
    let rest = rest.strip_prefix('\n').unwrap_or(rest);
    let dashes = row_end + (markdown[row_end..table.range.end].len() - rest.len());
    let end = rest
        .find('\n')
        .map_or(table.range.end, |at| dashes + at + 1);
    table.header = table.range.start..end;
}

fn push(headings: &mut [Heading], text: &str) {
    if let Some(heading) = headings.last_mut() {
        let room = MAX_HEADING.saturating_sub(heading.text.chars().count());
        heading.text.extend(text.chars().take(room));
    }
}

fn sections(length: usize, headings: Vec<Heading>) -> Vec<Section> {
    let mut sections = vec![Section {
        headings: Vec::new(),
        range: 0..length,
        body: 0,
    }];
    let mut above: Vec<(HeadingLevel, String)> = Vec::new();
    for heading in headings {
        if let Some(before) = sections.last_mut() {
            before.range.end = heading.range.start;
        }
        above.retain(|(level, _)| *level < heading.level);
        above.push((heading.level, heading.text.trim().to_owned()));
        sections.push(Section {
            headings: above.iter().map(|(_, text)| text.clone()).collect(),
            range: heading.range.start..length,
            body: heading.range.end,
        });
    }
    sections.retain(|section| !section.range.is_empty());
    sections
}
