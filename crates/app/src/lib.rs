//! Use cases: what Stoa does, without HTTP and without SQL.
//!
//! A feature is a module; its functions borrow the one [`App`] and take a proof of who is asking
//! ([`access`]), never a raw id.

mod activity;
mod app;
mod audit;
mod contents;
mod housekeeping;
mod known;
mod links;
mod looks;
mod parts;
mod quoted;
mod registry;
mod turns;
mod work;

pub mod access;
pub mod api_configurations;
pub mod api_tokens;
pub mod budgets;
pub mod chat;
pub mod client_idempotency;
pub mod completions;
pub mod database;
pub mod dedicated;
pub mod documents;
pub mod export;
pub mod fleet;
pub mod hosted_chat;
pub mod instances;
pub mod isolation;
pub mod live_configuration;
pub mod master_keys;
pub mod mcp_servers;
pub mod meter;
pub mod metrics;
pub mod moving;
pub mod overview;
pub mod passwords;
pub mod platform_idempotency;
pub mod rag_instructions;
pub mod search;
pub mod sessions;
pub mod sign_in;
pub mod signals;
pub mod start;
pub mod super_admins;
pub mod tools;

pub use app::App;
pub use contents::Contents;
pub use database::DatabaseError;
pub use links::SetupLink;
pub use looks::Looks;
pub use parts::{Parts, Settings};
pub use registry::{Registered, RegistryError};
pub use start::{Options, StartError};
pub use stoa_client_db::{ClientDbError, Cursor, Page, PageRequest};
pub use stoa_platform_db::DbError as PlatformDbError;
pub use stoa_platform_db::instances::{ClientDatabase, Instance};
pub use work::{JobError, run_due, run_due_moves};
