//! The platform's own database: its schema and every query on it.
//!
//! It knows that a client exists, never what its people say: no message, document, prompt, provider
//! key or end user's name has a column here. The database is trusted and ours, hence sqlx with
//! queries that are checked while compiling, against the data in `.sqlx` that
//! `scripts/sqlx-prepare` refreshes.
//!
//! A module is a feature. Its functions borrow a connection, so the caller owns the transaction; a
//! missing row is `Ok(None)`; ids and words are the domain's types. Names in SQL are always
//! qualified, and times come in as arguments.

mod condition;
mod db;
mod error;
mod stored;

pub mod account;
pub mod api_tokens;
pub mod audit_log;
pub mod budgets;
pub mod cache_entries;
pub mod idempotency_keys;
pub mod instance_admins;
pub mod instances;
pub mod jobs;
pub mod master_keys;
pub mod moves;
pub mod plans;
pub mod sign_in_links;
pub mod signals;
pub mod super_admins;
#[cfg(feature = "testing")]
pub mod testing;
pub mod usage_events;
pub mod user_sessions;

pub use condition::Condition;
pub use db::PlatformDb;
pub use error::{DbError, Taken};

/// A connection to the platform database, as the query functions borrow it.
pub use sqlx::PgConnection;
/// A transaction on the platform database; dropped without `commit`, it is undone.
pub type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;
