//! Failures that every feature can meet, as problems.

use axum::http::StatusCode;
use stoa_app::{ClientDbError, DatabaseError, PlatformDbError, RegistryError};

use super::problem::Problem;

impl From<PlatformDbError> for Problem {
    fn from(error: PlatformDbError) -> Self {
        match error {
            PlatformDbError::Unavailable(_) => {
                tracing::error!(error = %super::problem::ErrorChain(&error), "the platform database is not reachable");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "platform_unavailable",
                    "The platform's database is not reachable. Try again in a moment.",
                )
                .retry_after(std::time::Duration::from_secs(2))
            }
            error => Self::internal(&error),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Platform(error) => error.into(),
            error @ (RegistryError::Sealed { .. } | RegistryError::Address { .. }) => {
                tracing::error!(error = %super::problem::ErrorChain(&error), "an instance cannot be opened");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "instance_secrets_do_not_open",
                    "The stored secrets of this instance do not open, so it cannot be served. The platform's operator has to restore its row of the registry; other instances are not affected.",
                )
            }
        }
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let retry_after = error.retry_after();
        match error {
            DatabaseError::Unset => Self::new(
                StatusCode::CONFLICT,
                "database_not_set",
                "This instance has no database yet. Connect one with PUT /api/client/v1/database.",
            ),
            DatabaseError::Paused => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_moving",
                "The client's database is just moving to another place. Try again in a moment.",
            )
            .retry_after(retry_after.unwrap_or_default()),
            DatabaseError::Failed(failed) => client_database(&failed, retry_after),
            DatabaseError::Registry(error) => error.into(),
        }
    }
}

/// The client's database failed: its own trouble gets its own code, so that the client can mend it.
fn client_database(error: &ClientDbError, retry_after: Option<std::time::Duration>) -> Problem {
    if !error.is_outage() {
        return Problem::internal(error);
    }
    tracing::warn!(code = error.code(), error = %super::problem::ErrorChain(error), "a client's database failed");
    let detail = format!("The client's database cannot be used right now: {error}.");
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), detail);
    match retry_after {
        Some(wait) => problem.retry_after(wait),
        None => problem,
    }
}
