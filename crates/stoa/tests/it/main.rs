//! Stoa from outside: the real program, driven as its users drive it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail the test, as the tests themselves do"
)]

mod budgets;
mod chat;
mod client;
mod command_line;
mod content;
mod crash;
mod dedicated;
mod drill;
mod exchanged;
mod export;
mod five_steps;
mod fleet;
mod instances;
mod isolation;
mod keys;
mod logs;
mod moving;
mod openai_api;
mod openapi;
mod outages;
mod pages;
mod policies;
mod program;
mod serving;
mod support;
#[path = "../../../client-db/tests/support/tls_postgres.rs"]
mod tls_postgres;
mod tools;
