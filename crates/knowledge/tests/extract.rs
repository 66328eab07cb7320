//! What text comes out of a document, and what of it never does.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use proptest::prelude::*;
use stoa_knowledge::{ExtractError, Extracted, Kind, MAX_HTML_DEPTH, MAX_TEXT_BYTES, extract};

fn html(page: &str) -> Extracted {
    extract(Kind::Html, page.as_bytes()).expect("the page has text")
}

fn markdown(text: &str) -> Extracted {
    extract(Kind::Markdown, text.as_bytes()).expect("the text is text")
}

#[test]
fn a_whole_page_becomes_its_content() {
    let page = include_str!("pages/returns.html");
    let extracted = html(page);
    assert_eq!(
        extracted.title.as_deref(),
        Some("Returns & refunds – Fernweh")
    );
    insta::assert_snapshot!(extracted.markdown);
}

#[test]
fn what_readers_do_not_see_is_not_extracted() {
    let page = r#"<body><p>Seen.</p>
        <p hidden>Secret 1</p><p style="color: red; DISPLAY : none">Secret 2</p>
        <p style="visibility:hidden">Secret 3</p><div aria-hidden="true">Secret 4</div>
        <!-- Secret 5 --><script>secret6()</script><style>.secret7{}</style>
        <template>Secret 8</template><noscript>Secret 9</noscript>
        <svg><text>Secret 10</text></svg><iframe srcdoc="Secret 11">Secret 12</iframe>
        <textarea>Secret 13</textarea><p style="opacity:0">Secret 14</p></body>"#;
    assert_eq!(html(page).markdown, "Seen.");
}

#[test]
fn links_keep_only_addresses_that_mean_something_elsewhere() {
    let page = r#"<p><a href="https://example.com/a">far</a> <a href="/b">near</a>
        <a href="javascript:alert(1)">bad</a> <a href="mailto:a@example.com" title="x">mail</a>
        <img src="data:image/png;base64,AAAA" alt="A tent"><img src="x.png"></p>"#;
    assert_eq!(
        html(page).markdown,
        "[far](https://example.com/a) near bad [mail](mailto:a@example.com) A tent"
    );
}

#[test]
fn a_page_without_a_title_is_called_by_its_heading() {
    assert_eq!(
        html("<h1>Tent\n <em>care</em></h1><p>Dry it.")
            .title
            .as_deref(),
        Some("Tent care")
    );
    assert_eq!(html("<p>Dry it.").title, None);
}

#[test]
fn a_page_of_nothing_but_frame_is_empty() {
    let page = "<nav>Home</nav><script>1</script><footer>Imprint</footer>";
    assert!(matches!(
        extract(Kind::Html, page.as_bytes()),
        Err(ExtractError::Empty)
    ));
}

#[test]
fn pages_may_nest_to_the_limit_and_no_deeper() {
    // The document, html and body come on top.
    let page = |depth: usize| "<div>".repeat(depth) + "deep";
    assert_eq!(html(&page(MAX_HTML_DEPTH - 3)).markdown, "deep");
    assert!(matches!(
        extract(Kind::Html, page(MAX_HTML_DEPTH - 2).as_bytes()),
        Err(ExtractError::TooDeep { .. })
    ));
    // The heaviest mixture for the converter's stack.
    let lists = "<ul><li><blockquote><b>".repeat(MAX_HTML_DEPTH / 4 - 2) + "deep";
    assert!(html(&lists).markdown.contains("deep"));
}

#[test]
fn markdown_is_kept_as_written() {
    let text = "# Tent *care*\n\nDry it.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n";
    let extracted = markdown(text);
    assert_eq!(extracted.title.as_deref(), Some("Tent care"));
    assert_eq!(extracted.markdown, text);
}

#[test]
fn front_matter_gives_the_title_and_is_left_out() {
    let text = "---\ntitle: \"Tent care\"\ntags:\n  - tents\n---\n# Another\n\nDry it.";
    let extracted = markdown(text);
    assert_eq!(extracted.title.as_deref(), Some("Tent care"));
    assert_eq!(extracted.markdown, "# Another\n\nDry it.");
    // Two rules with a sentence between them are no front matter.
    let rules = "---\nDry it well.\n---\nThen fold it.";
    assert_eq!(markdown(rules).markdown, rules);
}

#[test]
fn comments_are_notes_among_authors() {
    let text = "Dry it. <!-- ask Ana -->Fold it.\n\n<!-- internal:\n margin 40 % --> \n\n\
        <div><!-- x -->Pack it.</div>\n\n`<!-- code -->` stays; <!-- unended stays";
    let kept = markdown(text).markdown;
    assert!(
        !kept.contains("Ana") && !kept.contains("margin") && !kept.contains('x'),
        "{kept}"
    );
    assert!(kept.contains("Dry it. Fold it."), "{kept}");
    assert!(kept.contains("Pack it.</div>"), "{kept}");
    assert!(
        kept.contains("`<!-- code -->` stays; <!-- unended stays"),
        "{kept}"
    );
}

#[test]
fn text_has_a_limit() {
    let most = "x".repeat(MAX_TEXT_BYTES);
    assert!(extract(Kind::Text, most.as_bytes()).is_ok());
    assert!(matches!(
        extract(Kind::Text, (most + "x").as_bytes()),
        Err(ExtractError::TooMuchText { .. })
    ));
}

#[test]
fn titles_are_bounded_and_on_one_line() {
    let page = format!("<title>a\n b{}</title><p>c", " long".repeat(10_000));
    let title = html(&page).title.expect("a title");
    assert!(title.starts_with("a b long"), "{title}");
    assert!(title.chars().count() <= 200);
}

/// Tags and words in any order, closed or not, as bad tools write them.
fn tag_soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,8} ",
        "</?(p|div|ul|ol|li|table|tr|td|th|b|i|a|h1|h2|pre|code|span|br|blockquote)>",
        Just("<a href='https://example.com/'>".to_owned()),
        Just("<select><option>x".to_owned()),
        "[<>&\"'`*_#\\[\\]|~\n-]{1,3}",
        "&[a-z]{1,6};?",
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_page_makes_it_panic(page in tag_soup()) {
        let _ = extract(Kind::Html, page.as_bytes());
    }

    #[test]
    fn every_word_of_a_page_is_kept_in_order(words in proptest::collection::vec("[a-z]{1,9}", 1..40)) {
        let tags = ["p", "li", "h2", "td", "b", "div", "blockquote", "em"];
        let page: String = words
            .iter()
            .enumerate()
            .map(|(at, word)| format!("<{0}>{word}</{0}>\n", tags[at % tags.len()]))
            .collect();
        let text = html(&page).markdown;
        let found: Vec<&str> = text
            .split(|c: char| !c.is_ascii_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        prop_assert_eq!(found, words);
    }

    #[test]
    fn no_markdown_makes_it_panic(text in "([#>*_`|\\-<!\\[\\]() \n:]|[a-z]|---\n|<!--|-->){0,200}") {
        let _ = extract(Kind::Markdown, text.as_bytes());
    }
}
