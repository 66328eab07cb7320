//! Clients' databases on a real PostgreSQL, a real PgBouncer, and servers that mean harm.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its servers end with its runtime"
)]

mod copy;
mod hostile;
mod knowledge;
mod left_behind;
mod mcp_servers;
mod migrations;
mod moving;
mod pgbouncer;
mod pool;
mod pool_outages;
mod preflight;
mod provision;
mod sessions;
mod settings;
mod statements;
mod supabase;
mod support;
mod tls;
#[path = "../support/tls_postgres.rs"]
mod tls_postgres;
mod tls_real;
mod tool_calls;
mod tools;
mod turns;
mod versions;
