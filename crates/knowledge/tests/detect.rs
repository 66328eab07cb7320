//! Which files are taken for what, and which are found to lie.

use proptest::prelude::*;
use stoa_knowledge::{ExtractError, Kind, detect, extract};

fn named(name: &str, bytes: &[u8]) -> Result<Kind, ExtractError> {
    detect(Some(name), None, bytes)
}

fn code(result: Result<Kind, ExtractError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "taken")
}

#[test]
fn the_name_decides_before_the_declared_type() {
    let text = b"Hello";
    assert_eq!(named("a.TXT", text).ok(), Some(Kind::Text));
    assert_eq!(named("Returns 1.2.md", text).ok(), Some(Kind::Markdown));
    assert_eq!(named("../../etc/a.htm", text).ok(), Some(Kind::Html));
    let octets = Some("application/octet-stream");
    assert_eq!(
        detect(Some("a.md"), octets, text).ok(),
        Some(Kind::Markdown)
    );
    assert_eq!(
        detect(Some("a.md"), Some("text/plain"), text).ok(),
        Some(Kind::Markdown)
    );
}

#[test]
fn without_an_extension_the_declared_type_decides() {
    let html = Some("Text/HTML; charset=utf-8");
    assert_eq!(detect(None, html, b"Hello").ok(), Some(Kind::Html));
    assert_eq!(
        detect(Some("Notes of v. 1"), Some("text/plain"), b"Hello").ok(),
        Some(Kind::Text)
    );
    assert_eq!(
        code(detect(Some("notes"), None, b"Hello")),
        "unsupported_format"
    );
}

#[test]
fn another_format_is_refused_with_what_is_taken() {
    let error = named("handbook.pdf", b"%PDF-1.7\n...").expect_err("no PDF yet");
    assert_eq!(
        error.to_string(),
        "This format is not taken. Taken are: plain text (.txt), Markdown (.md), HTML (.html)."
    );
    let ExtractError::Unsupported { taken, found } = error else {
        panic!("{error:?}");
    };
    assert_eq!(taken.len(), 3);
    assert_eq!(found.as_deref(), Some("a PDF document"));
    for name in ["a.csv", "a.docx", "a.exe", "a.txt.zip"] {
        assert_eq!(
            code(detect(Some(name), Some("text/plain"), b"Hello")),
            "unsupported_format",
            "{name}"
        );
    }
}

#[test]
fn a_file_with_a_lying_extension_is_named_for_what_it_is() {
    let liars: [(&str, &[u8], &str); 9] = [
        ("a.txt", b"%PDF-1.7\n%text", "a PDF document"),
        (
            "a.md",
            b"PK\x03\x04\x14\0\0\0",
            "a ZIP archive or an Office document",
        ),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0", "a PNG image"),
        ("a.html", b"\x7fELF\x02\x01\x01\0", "a program"),
        ("a.txt", b"MZ\x90\0\x03", "a program"),
        ("a.txt", b"{\\rtf1\\ansi Hello}", "a rich text document"),
        ("a.txt", b"<!DOCTYPE html><p>Hello", "a web page"),
        ("a.md", b"\xef\xbb\xbf\n <HTML><p>Hello", "a web page"),
        ("a.txt", b"\x1f\x8b\x08\0", "a gzip archive"),
    ];
    for (name, bytes, expected) in liars {
        match named(name, bytes) {
            Err(ExtractError::NotWhatItSays { holds, .. }) => assert_eq!(holds, expected),
            other => panic!("{name}, {expected}: {other:?}"),
        }
    }
    let error = named("a.txt", b"%PDF-1.7").expect_err("a liar");
    assert_eq!(
        error.to_string(),
        "The file says it is plain text, but it holds a PDF document."
    );
}

#[test]
fn words_that_are_also_signatures_are_text() {
    for text in [
        "MZ is a letter pair",
        "RIFF raff",
        "ID3 tags explained",
        "BZh",
    ] {
        assert_eq!(code(named("a.txt", text.as_bytes())), "taken", "{text}");
    }
}

#[test]
fn binary_data_is_no_text() {
    assert_eq!(code(named("a.txt", b"Hello\0world")), "binary_content");
    assert_eq!(code(named("a.md", &[7_u8; 64])), "binary_content");
    assert_eq!(code(named("a.html", b"\x01\x02\x03<p>")), "binary_content");
    // UTF-16 without a mark cannot be told from binary data.
    assert_eq!(code(named("a.txt", b"H\0i\0")), "binary_content");
}

#[test]
fn nothing_and_blanks_alone_are_empty() {
    for bytes in [&b""[..], b" \n\t\r\n", b"\xef\xbb\xbf", b"\xff\xfe \0"] {
        assert_eq!(code(named("a.txt", bytes)), "empty_document");
    }
}

#[test]
fn encodings_that_can_be_told_are_decoded() {
    let utf16le: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("Größe ✓".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let utf16be: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain("Größe ✓".encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    let texts: [(&[u8], &str); 5] = [
        ("Größe ✓".as_bytes(), "Größe ✓"),
        (b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe", "Größe"),
        (&utf16le, "Größe ✓"),
        (&utf16be, "Größe ✓"),
        (b"Die Gr\xf6\xdfe kostet 5 \x80", "Die Größe kostet 5 €"),
    ];
    for (bytes, expected) in texts {
        assert_eq!(code(named("a.txt", bytes)), "taken", "{expected}");
        let extracted = extract(Kind::Text, bytes).expect("it is text");
        assert_eq!(extracted.markdown, expected);
    }
}

#[test]
fn a_page_is_decoded_as_it_says_of_itself() {
    // "Привет" in Windows-1251, which looks like nothing in a Western encoding.
    let page = b"<meta charset='windows-1251'><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>";
    assert_eq!(code(named("a.html", page)), "taken");
    let extracted = extract(Kind::Html, page).expect("it is a page");
    assert_eq!(extracted.markdown, "Привет");
}

#[test]
fn what_would_be_a_guess_is_refused_with_the_place() {
    // UTF-8 with one broken character: Latin-1 would spoil the others.
    let broken = "Größe".as_bytes()[..4].to_vec();
    let broken = [&broken[..], b"\xc3 und so weiter"].concat();
    match named("a.txt", &broken) {
        Err(ExtractError::Undecodable { offset }) => assert_eq!(offset, 4),
        other => panic!("{other:?}"),
    }
    // Cyrillic in an undeclared single-byte encoding.
    let cyrillic = b"\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0";
    assert_eq!(code(named("a.txt", cyrillic)), "undecodable_text");
    // An odd byte at the end of UTF-16.
    assert_eq!(code(named("a.txt", b"\xff\xfeH\0i")), "undecodable_text");
}

#[test]
fn line_ends_and_stray_controls_are_tidied() {
    let text = "one\r\ntwo\rthree\u{c}four\u{feff} a\u{8}".to_owned() + &" five".repeat(100);
    let extracted = extract(Kind::Text, text.as_bytes()).expect("it is text");
    let expected = "one\ntwo\nthree\nfour a".to_owned() + &" five".repeat(100);
    assert_eq!(extracted.markdown, expected);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        name in "\\PC{0,20}(\\.(txt|md|html|pdf))?",
        media_type in proptest::option::of("[a-z/;= -]{0,24}"),
    ) {
        let _ = detect(Some(&name), media_type.as_deref(), &bytes);
    }

    #[test]
    fn whatever_is_detected_as_text_is_extracted(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        if detect(Some("a.txt"), None, &bytes).is_ok() {
            let extracted = extract(Kind::Text, &bytes);
            prop_assert!(extracted.is_ok_and(|e| !e.markdown.contains('\0')));
        }
    }

    #[test]
    fn a_text_comes_out_as_it_went_in(text in "[ -~äöüßéłшλ語\n]{1,300}") {
        prop_assume!(!text.trim().is_empty());
        prop_assume!(!text.starts_with("{\\rtf") && !text.starts_with("%"));
        let extracted = extract(Kind::Text, text.as_bytes());
        prop_assert_eq!(extracted.map(|e| e.markdown).ok(), Some(text));
    }
}
