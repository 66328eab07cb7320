//! The judge against independent statements of the ranges, and the door against real sockets.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's server ends with its runtime"
)]

mod allowlist;
mod door;
mod fetch;
mod judge;
mod names;
mod proxies;
mod redirects;
mod support;
mod tls;
