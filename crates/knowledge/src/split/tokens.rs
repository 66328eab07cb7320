//! How many tokens a text is, roughly, for any model.

use text_splitter::ChunkSizer;

/// Weights are in eighths of a token, so that the sum is exact and order does not matter.
const EIGHTHS: usize = 8;

/// Estimates how many tokens a model would count for a text; an empty one is 0.
///
/// No tokenizer is exact for every model, and the real ones cost megabytes and milliseconds. This
/// weighs characters: four letters of plain English are one token (OpenAI's rule of thumb), other
/// alphabets two letters, Chinese, Japanese and Korean one character, punctuation one half, an
/// emoji two. It grows with every character, never shrinks, and errs on the high side.
#[must_use]
pub fn estimate_tokens(text: &str) -> usize {
    text.chars().map(weight).sum::<usize>().div_ceil(EIGHTHS)
}

fn weight(character: char) -> usize {
    match character {
        ' ' | '\n' | '\t' | '\r' => 1,
        'a'..='z' | 'A'..='Z' => 2,
        '0'..='9' => 3,
        '\0'..='\u{7f}' => 4,
        // Latin with marks, Greek, Cyrillic, Hebrew, Arabic, Indic and other alphabets.
        '\u{80}'..='\u{1fff}' => 4,
        // Punctuation, symbols and their like.
        '\u{2000}'..='\u{2dff}' => 6,
        // Kana, ideographs, Hangul.
        '\u{2e00}'..='\u{ffff}' => 8,
        // Emoji and rare scripts.
        _ => 16,
    }
}

/// The estimate as the splitter's measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    /// Counting stops here: the splitter only asks whether a text fits, and it asks of the whole
    /// rest of the document again and again, which would take quadratic time.
    pub(super) enough: usize,
}

impl ChunkSizer for Estimate {
    fn size(&self, chunk: &str) -> usize {
        let enough = self.enough * EIGHTHS;
        let mut sum = 0;
        for character in chunk.chars() {
            sum += weight(character);
            if sum > enough {
                break;
            }
        }
        sum.div_ceil(EIGHTHS)
    }
}
