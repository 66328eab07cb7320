//! A chat turn, from the visitor's question to the saved and metered answer.

pub mod event;
pub mod live;
