//! Rows as `COPY` sends them, and the documents' original bytes in them.

use bytes::Bytes;
use stoa_domain::DocumentId;

use crate::error::ClientDbError;

/// A document's original bytes, with what a file of them is named by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The document.
    pub id: DocumentId,
    /// The name of the file that was uploaded; empty where it was none.
    pub file_name: String,
    /// The title.
    pub title: String,
    /// The media type.
    pub media_type: String,
    /// The bytes.
    pub content: Vec<u8>,
}

impl Original {
    /// Reads a row of [`Snapshot::originals`].
    ///
    /// # Errors
    ///
    /// `Unreadable` when it is none.
    pub fn read(row: &Bytes) -> Result<Self, ClientDbError> {
        let wrong = || ClientDbError::Unreadable { what: "documents" };
        let row = line(row)?;
        let mut fields = row.split(|byte| *byte == b'\t');
        let mut text = || -> Result<String, ClientDbError> {
            let field = fields.next().ok_or_else(wrong)?;
            String::from_utf8(unescaped(field)).map_err(|_| wrong())
        };
        let (id, file_name, title, media_type) = (text()?, text()?, text()?, text()?);
        let content = fields.next().ok_or_else(wrong)?;
        let digits = content.strip_prefix(br"\\x").ok_or_else(wrong)?;
        Ok(Self {
            id: id.parse().map_err(|_| wrong())?,
            file_name,
            title,
            media_type,
            content: from_hexadecimal(digits).ok_or_else(wrong)?,
        })
    }
}

/// A row of `COPY`'s text format without its line's end: exactly one line, and not the one that ends
/// the data. What a client's database sends ends up between `COPY … FROM stdin` and `\.`, and must not
/// get out of there.
///
/// # Errors
///
/// `Unreadable` when it is something else.
pub fn line(row: &Bytes) -> Result<&[u8], ClientDbError> {
    let wrong = ClientDbError::Unreadable { what: "a row" };
    match row.strip_suffix(b"\n") {
        Some(line) if !line.contains(&b'\n') && !line.contains(&b'\r') && line != br"\." => {
            Ok(line)
        }
        _ => Err(wrong),
    }
}

/// A row's single field in the clear.
#[must_use]
pub fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        plain.push(match bytes.next() {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(&other) => other,
            None => b'\\',
        });
    }
    plain
}

fn from_hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_cannot_end_the_data_or_begin_another_line() {
        let taken = |text: &'static str| line(&Bytes::from_static(text.as_bytes())).is_ok();
        assert!(taken("a\\\\.\tb\n") && taken("\n") && taken("\\.x\n"));
        for wrong in ["a", "a\nb\n", "\\.\n", "\\.\n\\! id\n", "a\r\n"] {
            assert!(!taken(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_document_is_read_from_its_row() {
        let row = "018f0000-0000-7000-8000-000000000001\ta\\tb\\\\c\tT\ttext/plain\t\\\\x00ffE9\n";
        let read = Original::read(&Bytes::from_static(row.as_bytes())).unwrap();
        assert_eq!(read.file_name, "a\tb\\c");
        assert_eq!(read.content, [0x00, 0xff, 0xe9]);
        for wrong in [
            "x\ty\tz\tt\t\\\\x00\n",
            "018f0000-0000-7000-8000-000000000001\ta\tb\tc\n",
        ] {
            assert!(Original::read(&Bytes::from_static(wrong.as_bytes())).is_err());
        }
        assert!(from_hexadecimal(b"abc").is_none() && from_hexadecimal(b"zz").is_none());
    }
}
