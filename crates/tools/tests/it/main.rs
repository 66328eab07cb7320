//! Tools that are called over real sockets and through the real door.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its servers end with its runtime"
)]

mod http;
mod mcp;
mod support;
