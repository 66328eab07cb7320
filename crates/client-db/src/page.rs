//! Lists in pages, by keyset: stable while rows come and go, and as cheap at the end as at the start.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct PageRequest {
    /// How many, 1 to 200; other values are brought into that range.
    pub limit: u16,
    /// After which row; from the start when absent.
    pub after: Option<Cursor>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next part begins, when there is one.
    pub next_cursor: Option<Cursor>,
}

/// A place in a list, opaque to those who are handed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: DateTime<Utc>,
    pub(crate) id: Uuid,
}

impl Cursor {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (micros, id) = bytes.split_at(8);
        Some(Self {
            at: DateTime::from_timestamp_micros(i64::from_be_bytes(micros.try_into().ok()?))?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.at.timestamp_micros().to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl PageRequest {
    /// One more than wanted, to see whether there is a next page.
    pub(crate) fn rows_to_read(&self) -> i64 {
        i64::from(self.limit.clamp(1, 200)) + 1
    }

    pub(crate) fn after_time(&self) -> Option<DateTime<Utc>> {
        self.after.map(|it| it.at)
    }

    pub(crate) fn after_id(&self) -> Option<Uuid> {
        self.after.map(|it| it.id)
    }

    /// Cuts off the row too many and says where the next page begins.
    pub(crate) fn page<T>(&self, mut data: Vec<T>, place: impl Fn(&T) -> Cursor) -> Page<T> {
        let wanted = usize::from(self.limit.clamp(1, 200));
        let more = data.len() > wanted;
        data.truncate(wanted);
        let next_cursor = if more { data.last().map(place) } else { None };
        Page { data, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_trip_and_nonsense_does_not() {
        let cursor = Cursor {
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            id: Uuid::from_u128(42),
        };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for wrong in [
            "",
            "AAAA",
            "not base64!",
            "////////////////////////////////",
        ] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
