//! Bytes → text → passages.
//!
//! A document arrives as bytes that somebody uploaded, so nothing about it is believed: [`detect`]
//! looks at what it holds, not only at what it is called; [`prepare_in_child`] extracts and splits
//! it in a process of its own with limits on memory, CPU and time, so that a bomb fails its own
//! document and nothing else. The pieces that run in that process are plain functions,
//! [`extract`] and [`split`], without I/O and without panics of their own.
//!
//! The crate touches no file and builds no path; names are data.

mod child;
mod decode;
mod detect;
mod error;
mod extract;
mod kind;
mod signature;
mod split;

pub use child::{
    ChildSettings, Limits, Prepared, Request, child_main, extract_in_child, prepare_in_child,
    serve_request,
};
pub use detect::detect;
pub use error::ExtractError;
pub use extract::{Extracted, MAX_HTML_DEPTH, MAX_TEXT_BYTES, extract};
pub use kind::Kind;
pub use split::{Passage, SplitSettings, estimate_tokens, split};
