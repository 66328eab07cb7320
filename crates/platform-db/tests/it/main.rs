//! The platform database's queries, each on a real PostgreSQL with a database of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers fail the test that uses them"
)]

mod audit_log;
mod budgets;
mod idempotency;
mod instances;
mod jobs;
mod master_keys;
mod metering;
mod people;
mod schema;
mod schemas;
mod signals;
mod support;
