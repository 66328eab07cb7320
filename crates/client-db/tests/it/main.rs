//! Clients' databases on a real PostgreSQL, a real PgBouncer, and servers that mean harm.

mod hostile;
mod knowledge;
mod pgbouncer;
mod pool;
mod preflight;
mod provision;
mod settings;
mod support;
mod turns;
