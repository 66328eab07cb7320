//! The single things that a server does with a connection.

use std::time::Duration;

use crate::messages;

/// One thing that a server does. Lists of these are what scripts are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Says these bytes.
    Say(Vec<u8>),
    /// Says these bytes again and again until the client leaves.
    Repeat(Vec<u8>),
    /// Says so many zero bytes, which nobody has to hold in memory.
    Zeros(u64),
    /// Does nothing for a while.
    Wait(Duration),
    /// Says nothing more, and stays until the client leaves.
    FallSilent,
    /// Closes the connection in good order.
    HangUp,
    /// Resets the connection.
    Reset,
}

impl Act {
    /// Announces a message of `length` bytes of which nothing but zeros follow, without end.
    #[must_use]
    pub fn lie_about_length(tag: u8, length: u32) -> Vec<Self> {
        vec![
            Self::Say(messages::header(tag, length)),
            Self::Zeros(u64::MAX),
        ]
    }

    /// Notices without end.
    #[must_use]
    pub fn endless_notices() -> Vec<Self> {
        vec![Self::Repeat(messages::notice("still there").repeat(1_000))]
    }

    /// Parameters without end, each of another name.
    #[must_use]
    pub fn endless_parameters() -> Vec<Self> {
        let all = (0..10_000).flat_map(|it| messages::parameter(&format!("parameter.{it}"), "x"));
        vec![Self::Repeat(all.collect())]
    }

    /// A row without end: the same one over and over.
    #[must_use]
    pub fn endless_rows(row: &[crate::Cell]) -> Vec<Self> {
        vec![Self::Repeat(messages::data_row(row).repeat(1_000))]
    }

    /// A proper row of one cell of `length` zero bytes.
    #[must_use]
    pub fn large_cell(length: u32) -> Vec<Self> {
        let mut start = messages::header(b'D', length.saturating_add(10));
        start.extend(1_u16.to_be_bytes());
        start.extend(length.to_be_bytes());
        vec![Self::Say(start), Self::Zeros(length.into())]
    }
}
