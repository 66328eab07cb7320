//! What a failure to connect says of the database: some providers pause the databases that nobody
//! uses, and say so in their own ways.

use stoa_domain::DatabaseState;
use stoa_outbound::OutboundError;

use crate::{
    address::DatabaseAddress,
    error::{ClientDbError, ServerError},
};

/// What providers say of a database that they have stopped, in small letters: Supabase of a paused
/// project, Neon of a disabled endpoint and of a quota that is used up.
const PAUSED: [&str; 7] = [
    "project is paused",
    "project has been paused",
    "project is hibernat",
    "endpoint is disabled",
    "endpoint has been disabled",
    "compute time quota",
    "tenant is banned",
];

/// What Supabase's pooler says of a project that it does not know (any more), in small letters. It
/// forgets a project that is paused, and finds no server for one that is being paused.
const UNKNOWN_TO_THE_POOLER: [&str; 4] = [
    "tenant or user not found",
    "(enotfound)",
    "tenant/user",
    "nxdomain",
];

impl ClientDbError {
    /// What this failure says of the database at `address`, which has worked before: a paused one
    /// is told from one that does not answer.
    #[must_use]
    pub fn database_state(&self, address: &DatabaseAddress) -> DatabaseState {
        match self {
            Self::Mismatch | Self::Vanished => DatabaseState::Mismatch,
            Self::Migration { source, .. } => source.database_state(address),
            Self::SignIn(said) | Self::Statement(said)
                if says_paused(said) || is_unknown_to_the_pooler(said, address) =>
            {
                DatabaseState::Paused
            }
            // The name of a project's own server goes when the project is paused.
            Self::Unreachable(OutboundError::Unresolved { .. })
                if address
                    .supabase()
                    .is_some_and(|it| !it.door.is_shared_pooler()) =>
            {
                DatabaseState::Paused
            }
            _ => DatabaseState::Unreachable,
        }
    }
}

/// Whether the provider says that it has stopped the database.
pub(crate) fn says_paused(said: &ServerError) -> bool {
    contains_any(said, &PAUSED)
}

/// Whether Supabase's pooler says that it does not know the project. Of an address that has never
/// worked this may mean another region or a misspelt project as well.
pub(crate) fn is_unknown_to_the_pooler(said: &ServerError, address: &DatabaseAddress) -> bool {
    let is_pooler = address
        .supabase()
        .is_some_and(|it| it.door.is_shared_pooler());
    is_pooler && contains_any(said, &UNKNOWN_TO_THE_POOLER)
}

fn contains_any(said: &ServerError, phrases: &[&str]) -> bool {
    let message = said.message.to_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AddressRules;

    const DIRECT: &str = "postgres://postgres:p@db.abcdefghijklmnopqrst.supabase.co:5432/postgres";
    const POOLER: &str = "postgres://postgres.abcdefghijklmnopqrst:p@aws-0-eu-central-1.pooler.supabase.com:5432/postgres";
    const ELSEWHERE: &str = "postgres://u:p@db.example.com/d";

    fn state(error: &ClientDbError, url: &str) -> DatabaseState {
        let address = DatabaseAddress::parse(url, &AddressRules::default()).unwrap();
        error.database_state(&address)
    }

    fn said(message: &str) -> ClientDbError {
        ClientDbError::SignIn(ServerError {
            sqlstate: "XX000".into(),
            message: message.into(),
        })
    }

    fn unresolved() -> ClientDbError {
        ClientDbError::Unreachable(OutboundError::Unresolved { host: "h".into() })
    }

    #[test]
    fn a_paused_project_is_told_from_one_that_does_not_answer() {
        use DatabaseState::{Paused, Unreachable};
        for (error, url, expected) in [
            (unresolved(), DIRECT, Paused),
            (unresolved(), POOLER, Unreachable),
            (unresolved(), ELSEWHERE, Unreachable),
            (said("Tenant or user not found"), POOLER, Paused),
            (said("Tenant or user not found"), ELSEWHERE, Unreachable),
            (
                said("(ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found"),
                POOLER,
                Paused,
            ),
            (said("Project is paused"), DIRECT, Paused),
            (
                said("The endpoint has been disabled. Enable it using Neon API and retry."),
                ELSEWHERE,
                Paused,
            ),
            (
                said("(EMAXCONNSESSION) max clients reached in session mode"),
                POOLER,
                Unreachable,
            ),
            (
                said("password authentication failed for user \"postgres\""),
                POOLER,
                Unreachable,
            ),
            (
                ClientDbError::Unreachable(OutboundError::Timeout { host: "h".into() }),
                DIRECT,
                Unreachable,
            ),
        ] {
            assert_eq!(state(&error, url), expected, "{error:?} at {url}");
        }
        let migrating = ClientDbError::Migration {
            version: 1,
            source: Box::new(said("Tenant or user not found")),
        };
        assert_eq!(state(&migrating, POOLER), Paused);
        assert_eq!(
            state(&ClientDbError::Mismatch, DIRECT),
            DatabaseState::Mismatch
        );
    }
}
