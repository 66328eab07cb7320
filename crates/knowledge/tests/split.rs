//! Where texts are cut.

use std::fmt::Write;
use std::time::Instant;

use stoa_knowledge::{Passage, SplitSettings, estimate_tokens, split};

fn small(target_tokens: usize) -> SplitSettings {
    SplitSettings {
        target_tokens,
        min_tokens: 10,
        overlap_tokens: 0,
    }
}

/// Passages as a page to look at.
fn shown(passages: &[Passage]) -> String {
    let mut shown = String::new();
    for passage in passages {
        let _ = writeln!(
            shown,
            "── {} [{}] {} tokens\n{}",
            passage.ordinal,
            passage.heading_path(),
            passage.token_count,
            passage.text
        );
    }
    shown
}

#[test]
fn a_handbook_page_is_cut_by_its_sections() {
    let page = include_str!("pages/handbook.md");
    insta::assert_snapshot!(shown(&split(page, &small(60))));
}

#[test]
fn a_section_that_fits_is_one_passage_under_its_headings() {
    let text = "# Returns\n\nSend it back within 60 days, unused and with its label on it.\n\n\
        ## Refunds\n\nThe money is back five working days after the parcel has reached us.\n\n\
        ### Gift cards\n\nWhat was paid by gift card goes back to a gift card, never to a bank.";
    let paths: Vec<String> = split(
        text,
        &SplitSettings {
            min_tokens: 10,
            ..Default::default()
        },
    )
    .iter()
    .map(Passage::heading_path)
    .collect();
    assert_eq!(
        paths,
        [
            "Returns",
            "Returns > Refunds",
            "Returns > Refunds > Gift cards"
        ]
    );
}

#[test]
fn a_heading_alone_goes_with_what_follows() {
    let passages = split(
        "# Returns\n\n## Refunds\n\nFive days.",
        &SplitSettings::default(),
    );
    assert_eq!(passages.len(), 1);
    assert_eq!(passages[0].heading_path(), "Returns > Refunds");
    assert!(passages[0].text.starts_with("# Returns"));
}

#[test]
fn small_neighbours_join_under_the_heading_they_share() {
    let text = "# Questions\n\n## Invoice?\n\nYes.\n\n## Cash?\n\nNo.\n\n# Other\n\nMore.";
    let passages = split(text, &SplitSettings::default());
    let paths: Vec<String> = passages.iter().map(Passage::heading_path).collect();
    assert_eq!(paths, ["Questions", "Other"]);
}

#[test]
fn a_long_table_repeats_its_header_and_is_cut_between_rows() {
    let mut text = "# Zones\n\n| Country | Days |\n|---|---|\n".to_owned();
    for country in 0..60 {
        let _ = writeln!(text, "| Country number {country} | {country} |");
    }
    let passages = split(&text, &small(60));
    assert!(passages.len() > 5);
    for passage in &passages {
        assert!(
            passage.text.contains("| Country | Days |\n|---|---|"),
            "{}",
            passage.text
        );
        for line in passage.text.lines().filter(|line| line.starts_with('|')) {
            assert!(line.ends_with('|'), "cut within a row: {line}");
        }
        assert_eq!(passage.heading_path(), "Zones");
    }
}

#[test]
fn a_long_list_is_cut_between_its_items() {
    let mut text = "# Packing\n\n".to_owned();
    for item in 0..60 {
        let _ = writeln!(text, "- item number {item} in the rucksack");
    }
    let passages = split(&text, &small(50));
    assert!(passages.len() > 5);
    for line in passages.iter().flat_map(|passage| passage.text.lines()) {
        let whole = line.ends_with("rucksack") || line.starts_with('#') || line.is_empty();
        assert!(whole, "cut within an item: {line}");
    }
}

#[test]
fn a_cut_section_overlaps_when_asked() {
    let sentences: String = (0..60)
        .map(|number| format!("This is sentence number {number} of the story. "))
        .collect();
    let settings = SplitSettings {
        target_tokens: 60,
        min_tokens: 10,
        overlap_tokens: 20,
    };
    let passages = split(&sentences, &settings);
    assert!(passages.len() > 5);
    for pair in passages.windows(2) {
        let last = pair[0].text.rsplit("This is").next().unwrap_or_default();
        assert!(
            pair[1].text.contains(last.trim()),
            "{last:?} in {:?}",
            pair[1].text
        );
    }
}

#[test]
fn a_word_without_end_is_cut_all_the_same() {
    let passages = split(&"x".repeat(100_000), &small(100));
    assert!(passages.len() >= 250);
    assert!(passages.iter().all(|passage| passage.token_count <= 100));
    let length: usize = passages.iter().map(|passage| passage.text.len()).sum();
    assert_eq!(length, 100_000);
}

#[test]
fn time_grows_with_the_text_and_not_with_its_square() {
    for unit in [
        "One sentence after another. ",
        "- an item of a list\n",
        "| a | row |\n",
        "A paragraph that says little.\n\n",
    ] {
        let seconds = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            let started = Instant::now();
            assert!(split(&text, &SplitSettings::default()).len() > 30);
            started.elapsed().as_secs_f64()
        };
        // Eight times the text: about 8 when linear, 64 when quadratic.
        let ratio = seconds(512 * 1024) / seconds(64 * 1024);
        assert!(ratio < 32.0, "{unit:?}: {ratio}");
    }
}

#[test]
fn tokens_are_estimated_on_the_high_side_of_four_letters_each() {
    assert_eq!(estimate_tokens(""), 0);
    // Ten words and a number: somewhat more tokens than words.
    let english = estimate_tokens("You may return boots that you wore outside within 60 days.");
    assert!((12..=20).contains(&english), "{english}");
    let german = estimate_tokens("Größe und Länge prüfen");
    assert!((5..=12).contains(&german), "{german}");
    let chinese = estimate_tokens("退货期限为六十天");
    assert!((6..=10).contains(&chinese), "{chinese}");
}
