//! That nothing is lost and nothing grows without bound, whatever is cut.

use proptest::prelude::*;

use super::*;

fn pieces_of(markdown: &str, settings: &SplitSettings) -> Vec<Piece> {
    let outline = outline(markdown);
    groups(markdown, &outline.sections, settings)
        .iter()
        .flat_map(|group| pieces(markdown, group, &outline, settings))
        .collect()
}

/// The text between the pieces, which should be blanks alone.
fn left_out(markdown: &str, pieces: &[Piece]) -> String {
    let mut left_out = String::new();
    let mut covered = 0;
    for piece in pieces {
        if piece.range.start > covered {
            left_out.push_str(&markdown[covered..piece.range.start]);
        }
        covered = covered.max(piece.range.end);
    }
    left_out + &markdown[covered..]
}

fn markdown_soup() -> impl Strategy<Value = String> {
    let block = prop_oneof![
        3 => "[a-z,. äß語🎒]{0,120}\n\n",
        1 => "#{1,6} [a-z `*]{0,30}\n",
        1 => "[a-z]{1,10}\n(===|---)\n",
        1 => "(\\| [a-z]{0,9} \\| [a-z]{0,9} \\|\n\\|---\\|---\\|\n)(\\| [a-z]{0,9} \\| b \\|\n){0,12}",
        1 => "(( {0,4})[-*1][.)]? [a-z ]{1,40}\n){1,6}",
        1 => "(> ){1,3}[#a-z ]{0,40}\n",
        1 => "```[a-z]{0,4}\n([a-z# ]{0,40}\n){0,5}(```\n)?",
        1 => "    [a-z]{1,30}\n\t[a-z]{1,9}\r\n",
        1 => "[\\PC\n]{0,40}",
        1 => "[a-z]{200,900}",
        1 => "(---|\\* \\* \\*|\\[\\^1\\]: note|<div>|<!-- x|\\$\\$)\n",
    ];
    proptest::collection::vec(block, 0..14).prop_map(|blocks| blocks.concat())
}

fn any_settings() -> impl Strategy<Value = SplitSettings> {
    (0_usize..80, 0_usize..60, 0_usize..60).prop_map(|(target, min, overlap)| SplitSettings {
        target_tokens: target,
        min_tokens: min,
        overlap_tokens: overlap,
    })
}

proptest! {
    #[test]
    fn nothing_but_blanks_is_left_out(markdown in markdown_soup(), settings in any_settings()) {
        let pieces = pieces_of(&markdown, &settings);
        let left_out = left_out(&markdown, &pieces);
        prop_assert!(left_out.trim().is_empty(), "left out {left_out:?}");
        for pair in pieces.windows(2) {
            prop_assert!(pair[0].range.start < pair[1].range.start, "out of order");
            prop_assert!(pair[0].range.end < pair[1].range.end, "nothing new");
        }
    }

    #[test]
    fn passages_are_bounded_numbered_and_the_same_again(
        markdown in markdown_soup(),
        settings in any_settings(),
    ) {
        let passages = split(&markdown, &settings);
        // A single character may weigh two tokens; the header and its piece each round up.
        let most = settings.target_tokens.max(2) * 5 / 4 + 2;
        for (at, passage) in passages.iter().enumerate() {
            prop_assert_eq!(passage.ordinal as usize, at);
            prop_assert_eq!(passage.token_count, estimate_tokens(&passage.text));
            prop_assert!(!passage.text.trim().is_empty());
            prop_assert!(passage.token_count <= most, "{} of {most}: {:?}", passage.token_count, passage.text);
        }
        prop_assert_eq!(split(&markdown, &settings), passages);
    }

    #[test]
    fn windows_cover_what_they_cut(
        text in "[a-zé語🎒]{0,40}",
        times in 0_usize..4000,
        lines in any::<bool>(),
    ) {
        let markdown = (text + if lines { "\n\n" } else { "" }).repeat(times);
        let blocks = outline(&markdown).blocks;
        let windows = windows(&markdown, 0..markdown.len(), &blocks);
        let mut covered = 0;
        for window in windows {
            prop_assert_eq!(window.start, covered);
            prop_assert!(window.len() <= WINDOW);
            covered = window.end;
        }
        prop_assert_eq!(covered, markdown.len());
    }
}

#[test]
fn no_piece_lies_within_the_next() {
    // The splitter alone gives `a` and, with its overlap, `a\n]`.
    let markdown = "|  |  |\n|---|---|\n,\n\na\n]".to_owned() + &"b".repeat(230);
    let settings = SplitSettings {
        target_tokens: 58,
        min_tokens: 58,
        overlap_tokens: 34,
    };
    let pieces = pieces_of(&markdown, &settings);
    let texts: Vec<String> = pieces.iter().map(|piece| piece.text(&markdown)).collect();
    assert_eq!(texts[..2], ["|  |  |\n|---|---|\n,", "a\n]"]);
    assert_eq!(texts[2], markdown[23..]);
}

#[test]
fn no_piece_lies_within_the_next_but_for_blanks() {
    // The splitter alone gives `    a…\n\ta` and, without the blanks, `a…\n\ta\r\n    b…`.
    let markdown = "    aaaaaaaaaaaaa\n\ta\r\n    bbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n\ta\r\n";
    let settings = SplitSettings {
        target_tokens: 12,
        min_tokens: 0,
        overlap_tokens: 4,
    };
    let ranges = pieces_of(markdown, &settings)
        .into_iter()
        .map(|piece| piece.range);
    assert_eq!(ranges.collect::<Vec<_>>(), [4..55, 57..58]);
}
