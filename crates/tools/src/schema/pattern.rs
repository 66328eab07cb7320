//! The patterns in schemas. They are compiled for each check and not kept: a pattern that takes a
//! line takes half a megabyte once it is compiled, and tools are kept in memory for many clients.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// The most patterns of a schema.
pub(super) const MOST: usize = 20;
/// The most bytes of a pattern once it is compiled.
const MOST_BYTES: usize = 512 * 1024;

/// Patterns that were compiled during one check.
#[derive(Default)]
pub(super) struct Patterns(HashMap<String, Option<Regex>>);

/// A pattern, unless it is none that is known here. Matching takes time in proportion to the text,
/// whatever the pattern.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .size_limit(MOST_BYTES)
        .dfa_size_limit(MOST_BYTES)
        .build()
        .ok()
}

impl Patterns {
    /// Whether a text matches; one that cannot be judged does.
    pub(super) fn allow(&mut self, pattern: &str, text: &str) -> bool {
        self.judge(pattern, text).unwrap_or(true)
    }

    /// Whether a text matches, if that can be judged.
    pub(super) fn judge(&mut self, pattern: &str, text: &str) -> Option<bool> {
        if !self.0.contains_key(pattern) && self.0.len() < MOST {
            self.0.insert(pattern.to_owned(), compile(pattern));
        }
        let compiled = self.0.get(pattern)?.as_ref()?;
        Some(compiled.is_match(text))
    }
}
