//! What keeps the platform from doing something to an instance, as problems.

use axum::http::StatusCode;
use stoa_app::database::ConnectError;
use stoa_app::instances::InstanceError;
use stoa_domain::Violation;

use crate::http::problem::{ErrorChain, Problem};

impl From<InstanceError> for Problem {
    fn from(error: InstanceError) -> Self {
        match error {
            InstanceError::NotFound => Self::not_found(),
            InstanceError::SlugTaken(slug) => Self::new(
                StatusCode::CONFLICT,
                "slug_taken",
                format!("Another instance has the slug “{slug}”. Choose another, or leave it out."),
            ),
            InstanceError::UnknownPlan(plan) => Self::invalid_field(
                "plan",
                format!("there is no plan “{plan}”; GET /api/platform/v1/plans lists them"),
            ),
            InstanceError::Invalid { field, message } => Self::invalid_field(field, message),
            InstanceError::Status(status) => Self::new(
                StatusCode::CONFLICT,
                "wrong_status",
                format!("The instance is {status}; this cannot be done to it now."),
            ),
            InstanceError::Dedicated => Self::new(
                StatusCode::CONFLICT,
                "dedicated_deployment",
                "This deployment is dedicated to the one instance that its environment describes: none is made or deleted here. Start a deployment with MULTI_TENANT_MODE=true for several.",
            ),
            InstanceError::NoCluster => Self::invalid_field(
                "database.mode",
                "no cluster for managed databases is configured here; use “external”",
            ),
            InstanceError::CutOff => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "restarting",
                "The server is restarting. Try again.",
            ),
            InstanceError::Database(error) => of_database(error),
            InstanceError::Registry(error) => error.into(),
            InstanceError::Platform(error) => error.into(),
            error @ (InstanceError::Provisioning(_) | InstanceError::Unfit(_)) => {
                tracing::error!(error = %ErrorChain(&error), "a managed database was not made");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "provisioning_failed",
                    "The managed database could not be made, and nothing of it was kept. Look at STOA_MANAGED_DATABASE_URL with `stoa doctor`, then try again.",
                )
                .retry_after(std::time::Duration::from_secs(5))
            }
        }
    }
}

/// The database is an object in the body of an instance.
fn of_database(error: ConnectError) -> Problem {
    match error {
        ConnectError::Invalid(violations) => {
            let inside = violations.into_iter().map(|violation| Violation {
                field: format!("database.{}", violation.field),
                ..violation
            });
            Problem::invalid(inside.collect())
        }
        error => error.into(),
    }
}
