//! Server-sent events: bytes in, events out, with bounds. Here, since everything that reads events
//! reads them from what came through the door.
//!
//! Follows the WHATWG HTML standard, §9.2.6, with three differences that suit a client of APIs:
//! text that is not UTF-8 is an error rather than replaced, since what is saved must be what was
//! said; `id` and `retry` are read past, since nothing is resumed; and what stands in an event
//! that the end of the stream cut off can be asked for, since some servers omit the last blank
//! line.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The event's type, when it has one.
    pub kind: Option<String>,
    /// The data lines, joined by line feeds.
    pub data: String,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line is longer than allowed.
    #[error("a line of the stream is too long")]
    LineTooLong,
    /// The data of an event is longer than allowed.
    #[error("an event of the stream is too long")]
    EventTooLong,
    /// A line is not UTF-8.
    #[error("the stream is not UTF-8")]
    NotUtf8,
}

/// Reads events from bytes that arrive in any pieces.
#[derive(Debug)]
pub struct SseDecoder {
    line_bytes: usize,
    event_bytes: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return, so that a line feed now belongs to it.
    after_return: bool,
    first_line: bool,
    kind: Option<String>,
    data: Option<String>,
}

impl SseDecoder {
    /// A decoder for lines, and for the data of an event, of at most so many bytes.
    #[must_use]
    pub fn new(line_bytes: usize, event_bytes: usize) -> Self {
        Self {
            line_bytes,
            event_bytes,
            line: Vec::new(),
            after_return: false,
            first_line: true,
            kind: None,
            data: None,
        }
    }

    /// Takes the next bytes and appends the events that they complete.
    ///
    /// # Errors
    ///
    /// When a bound is broken or a line is not UTF-8. Nothing is to be decoded after that.
    pub fn push(&mut self, mut bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<(), SseError> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|it| matches!(it, b'\n' | b'\r'));
            let length = end.unwrap_or(bytes.len());
            if self.line.len() + length > self.line_bytes {
                return Err(SseError::LineTooLong);
            }
            let Some(end) = end else {
                self.line.extend_from_slice(bytes);
                return Ok(());
            };
            if self.line.is_empty() {
                self.take_line(&bytes[..end], events)?;
            } else {
                self.line.extend_from_slice(&bytes[..end]);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, events)?;
                // Keeps the buffer for the next line that comes in pieces.
                self.line = line;
                self.line.clear();
            }
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// What the end of the stream left without its blank line: an event that may be whole or cut.
    pub fn remainder(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            // A line that was cut in the middle of a character is not worth an error here.
            self.take_line(&line, &mut Vec::new()).ok()?;
        }
        self.take_event()
    }

    fn take_line(&mut self, line: &[u8], events: &mut Vec<SseEvent>) -> Result<(), SseError> {
        let line = match std::mem::take(&mut self.first_line) {
            true => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            events.extend(self.take_event());
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.take_data(value)?,
            "event" => self.kind = Some(value.to_owned()),
            // Comments have an empty field name; `id` and `retry` are read past.
            _ => {}
        }
        Ok(())
    }

    fn take_data(&mut self, value: &str) -> Result<(), SseError> {
        match &mut self.data {
            None => self.data = Some(value.to_owned()),
            Some(data) if data.len() + 1 + value.len() > self.event_bytes => {
                return Err(SseError::EventTooLong);
            }
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
        }
        Ok(())
    }

    /// The gathered event. One without data is none, as the standard says.
    fn take_event(&mut self) -> Option<SseEvent> {
        let kind = self.kind.take();
        let data = self.data.take()?;
        Some(SseEvent { kind, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<SseEvent>, SseError> {
        let mut decoder = SseDecoder::new(1 << 10, 1 << 11);
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut events)?;
        }
        events.extend(decoder.remainder());
        Ok(events)
    }

    fn data(text: &str) -> SseEvent {
        SseEvent {
            kind: None,
            data: text.to_owned(),
        }
    }

    #[test]
    fn every_line_ending_ends_a_line_once() {
        for stream in [
            "data: a\n\ndata: b\n\n",
            "data: a\r\n\r\ndata: b\r\n\r\n",
            "data: a\r\rdata: b\r\r",
        ] {
            assert_eq!(
                decode(&[stream.as_bytes()]).unwrap(),
                [data("a"), data("b")],
                "{stream:?}"
            );
        }
    }

    #[test]
    fn comments_names_marks_and_several_data_lines() {
        let stream = "\u{feff}: hello\nevent: delta\nid: 7\nretry: 9\ndata: a\ndata\ndata:b\ndata:  c\nwhat: ever\n\n: only a comment\n\nevent: empty\n\ndata: last\n\n";
        assert_eq!(
            decode(&[stream.as_bytes()]).unwrap(),
            [
                SseEvent {
                    kind: Some("delta".to_owned()),
                    data: "a\n\nb\n c".to_owned()
                },
                data("last"),
            ],
        );
    }

    #[test]
    fn the_end_of_the_stream_gives_up_what_it_had() {
        assert_eq!(decode(&[b"data: [DONE]"]).unwrap(), [data("[DONE]")]);
        assert_eq!(decode(&[b"data: a\n"]).unwrap(), [data("a")]);
        assert_eq!(decode(&[b"data: a\n\ndata: \xc3"]).unwrap(), [data("a")]);
        assert_eq!(decode(&[b""]).unwrap(), []);
    }

    #[test]
    fn bounds_hold_however_the_bytes_come() {
        let long = vec![b'x'; 1025];
        assert_eq!(decode(&[&long]), Err(SseError::LineTooLong));
        assert_eq!(
            decode(&[&long[..1000], &long[..25]]),
            Err(SseError::LineTooLong)
        );
        assert!(decode(&[&long[..1024], b"\n"]).is_ok());
        let line = [b"data:".as_slice(), &[b'x'; 1000], b"\n"].concat();
        assert_eq!(decode(&[&line, &line, &line]), Err(SseError::EventTooLong));
        assert_eq!(decode(&[b"data: \xff\n"]), Err(SseError::NotUtf8));
    }

    fn streams() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("data:"),
            Just("data: é🦀漢"),
            Just("event: x"),
            Just(":"),
            Just(" "),
            Just("\n"),
            Just("\r"),
            Just("\r\n"),
            Just("\n\n"),
            Just("\r\n\r\n"),
            Just("\u{feff}"),
        ];
        proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(stream in streams(), cuts in proptest::collection::vec(0_usize..400, 0..12)) {
            let bytes = stream.as_bytes();
            let whole = decode(&[bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|it| it.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|it| &bytes[it[0]..it[1]]).collect();
            prop_assert_eq!(&decode(&pieces), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&decode(&single), &whole);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let _ = decode(&[&bytes]);
        }
    }
}
