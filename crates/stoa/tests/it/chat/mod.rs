//! The chat API: conversations, answers and their streams.

mod answers;
mod bad_input;
mod context;
mod fallback;
mod integrity;
mod origins;
mod providers;
mod quality;
mod resume;
