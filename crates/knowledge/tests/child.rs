//! Reading in a child process, with real processes that hit real limits.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::time::{Duration, Instant};

use stoa_knowledge::{
    ChildSettings, ExtractError, Extracted, Kind, Limits, SplitSettings, extract_in_child,
    prepare_in_child,
};

fn reader(how: &str) -> ChildSettings {
    ChildSettings {
        program: env!("CARGO_BIN_EXE_misbehaving-reader").into(),
        args: vec![how.into()],
    }
}

fn tight() -> Limits {
    Limits {
        memory_bytes: 256 * 1024 * 1024,
        cpu_seconds: 1,
        wall_clock: Duration::from_secs(20),
        ..Limits::default()
    }
}

async fn ask(how: &str, document: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    extract_in_child(&reader(how), Kind::Text, document, limits).await
}

async fn fails(how: &str) -> ExtractError {
    ask(how, b"some text", &tight())
        .await
        .expect_err("a reader that misbehaves reads nothing")
}

#[tokio::test]
async fn an_honest_reader_answers_with_text_and_passages() {
    let page = b"<title>Returns</title><h1>Returns</h1><p>Within <b>60 days</b>.</p>";
    let prepared = prepare_in_child(
        &reader("honest"),
        Kind::Html,
        page,
        &SplitSettings::default(),
        &Limits::default(),
    )
    .await
    .expect("a small page is read");
    assert_eq!(prepared.extracted.title.as_deref(), Some("Returns"));
    assert_eq!(
        prepared.extracted.markdown,
        "# Returns\n\nWithin **60 days**."
    );
    assert_eq!(prepared.passages.len(), 1);
    assert_eq!(prepared.passages[0].heading_path(), "Returns");
}

#[tokio::test]
async fn a_large_document_passes_through_the_pipes_whole() {
    let line = "Every tent is pitched once before it leaves the house – \"honestly\".\n";
    let document = line.repeat(3 * 1024 * 1024 / line.len());
    let prepared = prepare_in_child(
        &reader("honest"),
        Kind::Text,
        document.as_bytes(),
        &SplitSettings::default(),
        &Limits::default(),
    )
    .await
    .expect("three megabytes are read");
    assert_eq!(prepared.extracted.markdown, document);
    assert!(prepared.passages.len() > 3000);
}

#[tokio::test]
async fn what_is_wrong_with_the_document_comes_through_from_the_child() {
    let error = extract_in_child(
        &reader("honest"),
        Kind::Markdown,
        b"a\0b",
        &Limits::default(),
    )
    .await
    .expect_err("NUL is no text");
    assert!(matches!(
        error,
        ExtractError::Binary {
            says: Kind::Markdown
        }
    ));
}

/// The parser takes quadratic time over these, so they also show that a bomb which is a document,
/// not only a program that misbehaves, ends at the limits.
#[tokio::test]
async fn a_page_nested_deeply_is_refused_and_one_beyond_all_measure_is_stopped() {
    for (depth, expected) in [(2_000, "nested_too_deep"), (100_000, "reading_timed_out")] {
        let page = "<div>".repeat(depth) + "deep";
        let error = extract_in_child(&reader("honest"), Kind::Html, page.as_bytes(), &tight())
            .await
            .expect_err("no page is that deep");
        assert_eq!(error.code(), expected, "{error:?}");
    }
}

#[tokio::test]
async fn allocating_without_end_is_out_of_memory() {
    assert!(matches!(fails("allocate").await, ExtractError::OutOfMemory));
}

#[tokio::test]
async fn spinning_is_stopped_by_the_cpu_limit() {
    let started = Instant::now();
    assert!(matches!(fails("spin").await, ExtractError::TimedOut));
    assert!(
        started.elapsed() < tight().wall_clock,
        "the wall clock stopped it, not the CPU limit"
    );
}

#[tokio::test]
async fn sleeping_is_stopped_by_the_wall_clock() {
    let limits = Limits {
        wall_clock: Duration::from_millis(300),
        ..tight()
    };
    let error = ask("sleep", b"some text", &limits).await;
    assert!(matches!(error, Err(ExtractError::TimedOut)), "{error:?}");
}

#[tokio::test]
async fn a_child_is_killed_when_nobody_waits_for_it_any_more() {
    let marker = format!("waits-{}", std::process::id());
    let settings = ChildSettings {
        program: env!("CARGO_BIN_EXE_misbehaving-reader").into(),
        args: vec!["sleep".into(), marker.clone().into()],
    };
    let limits = tight();
    let waiting = extract_in_child(&settings, Kind::Text, b"some text", &limits);
    let gave_up = tokio::time::timeout(Duration::from_millis(500), waiting).await;
    assert!(gave_up.is_err(), "it should have slept on");
    for _ in 0..100 {
        if !is_running(&marker) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the child outlived its parent's interest");
}

/// Whether a living process has this argument. A zombie has no arguments.
fn is_running(argument: &str) -> bool {
    let processes = std::fs::read_dir("/proc").expect("this runs on Linux");
    processes.flatten().any(|process| {
        std::fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|a| a == argument.as_bytes())
        })
    })
}

#[tokio::test]
async fn ends_without_an_answer_are_crashes_that_say_how() {
    for (how, expected) in [
        ("exit", "exit status: 3"),
        ("abort", "signal: 6"),
        ("garbage", "no answer"),
        ("flood", "too long"),
    ] {
        let error = fails(how).await;
        let ExtractError::Crashed { detail } = &error else {
            panic!("{how}: {error:?}");
        };
        assert!(detail.contains(expected), "{how}: {detail}");
        assert!(!error.retryable());
    }
}

#[tokio::test]
async fn a_flood_of_complaints_is_not_kept() {
    let started = Instant::now();
    assert!(matches!(
        fails("flood-errors").await,
        ExtractError::Crashed { .. }
    ));
    assert!(started.elapsed() < tight().wall_clock);
}

#[tokio::test]
async fn a_panic_tells_where_and_never_what_the_document_said() {
    let error = ask("panic", b"a private sentence", &tight())
        .await
        .expect_err("it panicked");
    let said = format!("{error} {error:?}");
    assert!(said.contains("misbehaving_reader.rs:"), "{said}");
    assert!(!said.contains("private"), "{said}");
}

#[tokio::test]
async fn the_child_may_write_no_file() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stays-empty");
    let settings = ChildSettings {
        program: env!("CARGO_BIN_EXE_misbehaving-reader").into(),
        args: vec!["write-file".into(), path.clone().into()],
    };
    let error = extract_in_child(&settings, Kind::Text, b"some text", &tight()).await;
    assert!(
        matches!(error, Err(ExtractError::Crashed { .. })),
        "{error:?}"
    );
    let written = std::fs::read(&path).expect("the file was opened");
    assert!(written.is_empty(), "bytes reached the disk");
}

#[tokio::test]
async fn the_child_may_open_few_files() {
    let opened = ask("open-files", b"some text", &tight())
        .await
        .expect("it answers");
    let opened: u32 = opened.markdown.parse().expect("a count");
    assert!(opened <= 8, "{opened}");
}

#[tokio::test]
async fn the_child_sees_nothing_of_our_environment() {
    assert!(std::env::vars().count() > 0);
    let seen = ask("environment", b"some text", &tight())
        .await
        .expect("it answers");
    assert_eq!(seen.markdown, r#"[] in Ok("/")"#);
}

#[tokio::test]
async fn a_document_over_the_limit_starts_no_child() {
    let limits = Limits {
        input_bytes: 8,
        ..tight()
    };
    let nobody = ChildSettings {
        program: "/nonexistent".into(),
        args: Vec::new(),
    };
    let error = extract_in_child(&nobody, Kind::Text, b"nine bytes", &limits).await;
    assert!(
        matches!(error, Err(ExtractError::TooLarge { limit_bytes: 8 })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_missing_program_is_not_the_documents_fault() {
    let nobody = ChildSettings {
        program: "/nonexistent".into(),
        args: Vec::new(),
    };
    let error = extract_in_child(&nobody, Kind::Text, b"some text", &tight())
        .await
        .expect_err("there is no such program");
    assert!(matches!(error, ExtractError::Unavailable { .. }));
    assert!(error.retryable());
}
