//! The chat API: conversations, answers and their streams.

mod answers;
mod bad_input;
mod fallback;
mod origins;
mod resume;
