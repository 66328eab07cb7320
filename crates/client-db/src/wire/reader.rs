//! Reading along with the PostgreSQL protocol: where messages begin and what they announce.

use super::budget::{Budget, WireViolation};

/// The most columns of a row, or parameters of a statement: more than any of ours has. The driver
/// takes six times the memory for an empty column as the server sends for it.
const MOST_COLUMNS: u32 = 200;

/// Follows the boundaries of messages: one byte of tag, four of length, the body.
#[derive(Debug, Default)]
pub(super) struct MessageReader {
    header: [u8; 5],
    header_len: usize,
    body_left: u64,
    /// The number at the start of the body, where it is to be looked at.
    number: Option<Number>,
    /// The tag of the message whose body is being followed.
    tag: u8,
    met_a_message: bool,
    pub(super) signed_in: bool,
}

/// A number of two or four bytes, as far as it has come.
#[derive(Debug)]
struct Number {
    bytes: [u8; 4],
    have: usize,
    size: usize,
}

impl MessageReader {
    pub(super) fn follow(
        &mut self,
        mut bytes: &[u8],
        budget: &Budget,
    ) -> Result<(), WireViolation> {
        while !bytes.is_empty() {
            if self.body_left == 0 {
                bytes = self.take_header(bytes, budget)?;
            } else {
                bytes = self.take_body(bytes, budget)?;
            }
        }
        Ok(())
    }

    fn take_header<'a>(
        &mut self,
        bytes: &'a [u8],
        budget: &Budget,
    ) -> Result<&'a [u8], WireViolation> {
        let wanted = (self.header.len() - self.header_len).min(bytes.len());
        let (now, later) = bytes.split_at(wanted);
        self.header[self.header_len..self.header_len + wanted].copy_from_slice(now);
        self.header_len += wanted;
        // The first byte is enough to know HTTP, SSH and the like.
        if !self.signed_in && !self.tag_may_come() {
            return Err(if self.met_a_message {
                WireViolation::Malformed
            } else {
                WireViolation::NotPostgres
            });
        }
        if self.header_len < self.header.len() {
            return Ok(later);
        }
        let [tag, a, b, c, d] = self.header;
        self.header_len = 0;
        let length = u64::from(u32::from_be_bytes([a, b, c, d]));
        self.body_left = length.checked_sub(4).ok_or(WireViolation::Malformed)?;
        if self.body_left > budget.left() {
            return Err(self.too_much());
        }
        self.met_a_message = true;
        self.tag = tag;
        if matches!(tag, b'N' | b'A' | b'S') && !budget.spend_unasked(tag, length) {
            return Err(self.too_much());
        }
        let size = match tag {
            b'R' | b'K' if !self.signed_in => 4,
            b'T' | b'D' | b't' => 2,
            _ => 0,
        };
        self.number = (size > 0).then_some(Number {
            bytes: [0; 4],
            have: 0,
            size,
        });
        if self.body_left < size as u64 {
            return Err(WireViolation::Malformed);
        }
        if tag == b'Z' {
            self.signed_in = true;
        }
        Ok(later)
    }

    /// Before we are let in: authentication, error, notice, version, parameter, key, ready.
    fn tag_may_come(&self) -> bool {
        let first = matches!(self.header[0], b'R' | b'E' | b'N' | b'v');
        first || (self.met_a_message && matches!(self.header[0], b'S' | b'K' | b'Z'))
    }

    fn take_body<'a>(
        &mut self,
        bytes: &'a [u8],
        budget: &Budget,
    ) -> Result<&'a [u8], WireViolation> {
        let here = usize::try_from(self.body_left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (now, later) = bytes.split_at(here);
        self.body_left -= here as u64;
        let Some(number) = &mut self.number else {
            return Ok(later);
        };
        let wanted = (number.size - number.have).min(now.len());
        number.bytes[number.have..number.have + wanted].copy_from_slice(&now[..wanted]);
        number.have += wanted;
        if number.have == number.size {
            let number = number.value();
            self.number = None;
            self.judge(number, budget)?;
        }
        Ok(later)
    }

    fn judge(&self, number: u32, budget: &Budget) -> Result<(), WireViolation> {
        match self.tag {
            b'R' => judge_authentication(number),
            b'K' => {
                budget.set_process_id(number);
                Ok(())
            }
            _ if number > MOST_COLUMNS => Err(WireViolation::TooMuch),
            _ => Ok(()),
        }
    }

    pub(super) fn too_much(&self) -> WireViolation {
        if self.signed_in {
            WireViolation::TooMuch
        } else {
            WireViolation::TooMuchBeforeSignIn
        }
    }
}

impl Number {
    fn value(&self) -> u32 {
        let [a, b, ..] = self.bytes;
        match self.size {
            2 => u32::from(u16::from_be_bytes([a, b])),
            _ => u32::from_be_bytes(self.bytes),
        }
    }
}

/// Only SCRAM, or nothing at all where the server trusts this address.
fn judge_authentication(code: u32) -> Result<(), WireViolation> {
    match code {
        0 | 10 | 11 | 12 => Ok(()),
        3 => Err(WireViolation::CleartextPassword),
        5 => Err(WireViolation::Md5Password),
        _ => Err(WireViolation::UnknownAuthentication),
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
