//! One client's database: how it is checked, reached, brought up to date and asked.
//!
//! A client's database is neither ours nor trusted. It may sit behind a transaction pooler, so
//! statements are unnamed and typed (`query_typed`), work of several statements is inside an
//! explicit transaction, and nothing outlives it: no `SET`, no `LISTEN`, no session locks. The one
//! exception is the statements of a turn, kept prepared where nothing is in between. It may be
//! hostile, so connections go through `stoa_outbound`, every answer is bounded in bytes, rows and
//! time, and what it says is data to be checked.
//!
//! Query functions borrow a [`ClientConnection`]; a [`Transaction`] is one too.

mod address;
#[cfg(test)]
mod behind;
mod condition;
mod connection;
mod copy;
mod error;
mod marker;
mod migrate;
mod page;
mod pool;
mod row;
mod statements;
mod text_search;
mod versioned;
mod wire;

pub mod access_log;
pub mod api_configurations;
pub mod budgets;
pub mod chunks;
pub mod documents;
pub mod end_users;
pub mod export;
pub mod feedback;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod holdings;
pub mod idempotency;
pub mod live_configurations;
pub mod mcp_servers;
pub mod messages;
pub mod moving;
pub mod preflight;
pub mod provision;
pub mod rag_instructions;
pub mod search;
pub mod sessions;
pub mod tool_calls;
pub mod tools;

pub use address::{
    AddressError, AddressRules, CertificateAuthority, DatabaseAddress, SupabaseDoor, SupabasePlace,
    TlsMode,
};
pub use connection::{ClientConnection, Transaction};
pub use copy::{CopyIn, CopyOut};
pub use error::{ClientDbError, ServerError, TlsFault};
pub use migrate::{Migration, Migrations, SCHEMA_VERSION, SchemaChange, SchemaTrouble};
pub use page::{Cursor, Page, PageRequest};
pub use pool::{
    ClientDatabases, DatabaseNews, Fault, PoolSettings, PoolView, PooledConnection, PoolsView,
    SchemaNews, Target,
};
pub use text_search::TextSearchConfiguration;
pub use wire::Deadlines;
