//! An instance's database: connected, checked, and why it could not be used.

mod advice;
mod connect;
mod examine;
mod ready;
mod states;
mod stored;
mod supabase;

use std::time::Duration;

use stoa_client_db::ClientDbError;

use crate::registry::RegistryError;

pub use advice::advice;
pub use connect::{ConnectError, Connected, NewAddress, check, put};
pub(crate) use connect::{connect_for, follow_operator};
pub(crate) use ready::{
    MadeReady, Owner, accepted_from_client, give_back, make_ready, make_ready_for_operator,
};
pub(crate) use states::{note, probe};
pub use stoa_client_db::preflight::{Check, CheckStatus, PreflightReport};
pub use stored::{
    StoredAddressError, address_place, open_address, open_address_at, open_operators_address,
    open_operators_address_at, seal_address, seal_address_at,
};
pub use supabase::SupabaseProject;
pub(crate) use supabase::open_anon_key;

/// Why an instance's database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No address has been given yet.
    #[error("no database is connected yet")]
    Unset,
    /// It failed.
    #[error("the client's database failed")]
    Failed(#[from] ClientDbError),
    /// It is moving to another place, which takes longer than anybody waits.
    #[error("the database is just moving to another place")]
    Paused,
    /// Nobody knows where it is.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
}

impl DatabaseError {
    /// A stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unset => "database_not_set",
            Self::Paused => "database_moving",
            Self::Failed(error) => error.code(),
            Self::Registry(_) => "platform_unavailable",
        }
    }

    /// Whether the database, rather than the request, is at fault.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_outage())
    }

    /// When it is tried again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(ClientDbError::Resting { retry_in, .. }) => Some(*retry_in),
            Self::Failed(ClientDbError::Moved) => Some(Duration::from_secs(1)),
            Self::Failed(ClientDbError::Busy) | Self::Paused => Some(Duration::from_secs(2)),
            Self::Unset | Self::Failed(_) | Self::Registry(_) => None,
        }
    }
}
