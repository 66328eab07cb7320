//! Where statements begin in what a client says.

/// What was found in a client's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A statement begins behind the bytes that were followed.
    Statement,
    /// A request to cancel one.
    Cancel,
    /// It is encrypted: nobody knows what it is.
    Encrypted,
}

/// Follows a client's messages, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Statements {
    stage: Stage,
    header: Vec<u8>,
    body_left: u64,
    /// Whether a statement was announced that is not over yet.
    in_statement: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Before the start-up message: messages have no tag.
    #[default]
    Untagged,
    Tagged,
    Encrypted,
}

/// The codes of messages before the sign-in that are no start-up messages.
const CANCEL_REQUEST: u32 = 80_877_102;
const TLS_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

impl Statements {
    /// Follows `bytes` up to the next thing of note, and says how many that were.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> (usize, Option<Found>) {
        let mut at = 0;
        while at < bytes.len() {
            if self.body_left > 0 {
                let here = self.body_left.min((bytes.len() - at) as u64);
                self.body_left -= here;
                at += usize::try_from(here).unwrap_or(bytes.len());
                continue;
            }
            let byte = bytes[at];
            if self.header.is_empty() {
                // The length of an untagged message begins with 0, a TLS handshake with 22.
                if self.stage == Stage::Untagged && byte == 22 {
                    self.stage = Stage::Encrypted;
                }
                if self.stage == Stage::Encrypted {
                    return (bytes.len(), Some(Found::Encrypted));
                }
                let begins = matches!(byte, b'Q' | b'P' | b'B' | b'D' | b'E' | b'F');
                if self.stage == Stage::Tagged && begins && !self.in_statement {
                    self.in_statement = true;
                    return (at, Some(Found::Statement));
                }
            }
            self.header.push(byte);
            at += 1;
            if let Some(found) = self.end_of_header() {
                return (at, Some(found));
            }
        }
        (at, None)
    }

    /// Takes a header that is complete.
    fn end_of_header(&mut self) -> Option<Found> {
        // A length and a code, or a tag and a length.
        let (length, spent) = match (&self.stage, self.header.as_slice()) {
            (Stage::Untagged, [a, b, c, d, _, _, _, _]) => ([*a, *b, *c, *d], 8),
            (Stage::Tagged, [_, a, b, c, d]) => ([*a, *b, *c, *d], 4),
            _ => return None,
        };
        self.body_left = u64::from(u32::from_be_bytes(length)).saturating_sub(spent);
        let header = std::mem::take(&mut self.header);
        if self.stage == Stage::Tagged {
            if matches!(header[0], b'Q' | b'S' | b'F') {
                self.in_statement = false;
            }
            return None;
        }
        match u32::from_be_bytes([header[4], header[5], header[6], header[7]]) {
            TLS_REQUEST | GSS_REQUEST => None,
            CANCEL_REQUEST => Some(Found::Cancel),
            _ => {
                self.stage = Stage::Tagged;
                None
            }
        }
    }
}
