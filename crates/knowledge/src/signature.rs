//! What a file is by its first bytes, for the formats that people mistake for text or rename.

/// First bytes, and what has them. The first match wins.
///
/// From the file formats' own specifications and the Wikipedia list of file signatures. Formats
/// whose signature has NUL bytes near the front would be refused as binary anyway; they are here so
/// that the message can name them.
const SIGNATURES: [(&[u8], &str); 26] = [
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"PK\x05\x06", "a ZIP archive or an Office document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"RIFF", "a RIFF file (an image, sound or film)"),
    (b"OggS", "an Ogg sound or film"),
    (b"ID3", "an MP3 sound"),
    (b"fLaC", "a FLAC sound"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Office document",
    ),
    (b"{\\rtf", "a rich text document"),
    (b"%!PS", "a PostScript document"),
    (b"SQLite format 3\0", "a SQLite database"),
];

/// Signatures that are also ordinary words at the start of a text: they count only when something
/// that no text has follows soon.
const WORDS: [&[u8]; 5] = [b"MZ", b"ID3", b"BZh", b"RIFF", b"OggS"];

/// How far a signature that is also a word must show that it is none, in bytes.
const NEAR: usize = 64;

/// What the bytes are by their signature, as people say it; `None` for what may be text.
pub(crate) fn recognise(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (signature, name) = SIGNATURES
        .iter()
        .find(|(signature, _)| bytes.starts_with(signature))?;
    let near = &bytes[..bytes.len().min(NEAR)];
    let is_text = WORDS.contains(signature) && !near.iter().any(|byte| is_binary(*byte));
    (!is_text).then_some(name)
}

/// Whether the text begins as a whole web page does.
pub(crate) fn begins_as_web_page(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = bytes.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html"].iter().any(|beginning| {
        bytes
            .get(..beginning.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(beginning))
    })
}

fn is_binary(byte: u8) -> bool {
    byte >= 0x80 || (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}
