//! Use cases: what Stoa does, without HTTP and without SQL.

pub mod chat;
pub mod passwords;
