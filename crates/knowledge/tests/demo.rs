//! The demo's handbook: real pages through the whole of this crate, and the promise that each of
//! its questions has one answer in one place.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::path::PathBuf;

use serde::Deserialize;
use stoa_knowledge::{Kind, Passage, SplitSettings, detect, extract, split};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    question: String,
    document: String,
    phrase: String,
}

struct Page {
    title: String,
    passages: Vec<Passage>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../stoa/demo")
}

fn pages() -> Vec<Page> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the demo has documents")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    files.into_iter().map(|path| page(&path)).collect()
}

fn page(path: &std::path::Path) -> Page {
    let bytes = std::fs::read(path).expect("a readable file");
    let name = path.file_name().and_then(|name| name.to_str());
    let kind = detect(name, None, &bytes).expect("a Markdown page");
    assert_eq!(kind, Kind::Markdown);
    let extracted = extract(kind, &bytes).expect("a page with text");
    Page {
        title: extracted.title.expect("every page has a heading"),
        passages: split(&extracted.markdown, &SplitSettings::default()),
    }
}

fn questions() -> Vec<Question> {
    let json = std::fs::read(folder().join("questions.json")).expect("the demo has questions");
    serde_json::from_slice(&json).expect("the questions have their shape")
}

#[test]
fn every_question_has_its_answer_in_exactly_one_passage() {
    let pages = pages();
    let questions = questions();
    assert_eq!(questions.len(), 12);
    for question in &questions {
        let found: Vec<(&str, String)> = pages
            .iter()
            .flat_map(|page| {
                page.passages
                    .iter()
                    .filter(|passage| passage.text.contains(&question.phrase))
                    .map(|passage| (page.title.as_str(), passage.heading_path()))
            })
            .collect();
        assert_eq!(found.len(), 1, "{}: {found:?}", question.question);
        assert_eq!(found[0].0, question.document, "{}", question.question);
    }
}

#[test]
fn every_page_is_asked_about_and_cut_into_several_passages() {
    let questions = questions();
    for page in pages() {
        assert!(
            questions
                .iter()
                .any(|question| question.document == page.title),
            "no question about {}",
            page.title
        );
        assert!(page.passages.len() >= 5, "{}", page.title);
        for passage in &page.passages {
            assert_eq!(passage.headings.first(), Some(&page.title));
            assert!((8..=320).contains(&passage.token_count), "{passage:?}");
        }
    }
}

#[test]
fn the_handbooks_passages_stay_as_they_are() {
    let outline: Vec<String> = pages()
        .iter()
        .flat_map(|page| &page.passages)
        .map(|passage| format!("{:>3} {}", passage.token_count, passage.heading_path()))
        .collect();
    insta::assert_snapshot!(outline.join("\n"));
}
