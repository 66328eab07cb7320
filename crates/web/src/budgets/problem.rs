//! Failures of budgets, as problems.

use axum::http::StatusCode;
use stoa_app::budgets::BudgetsError;

use crate::http::problem::Problem;

impl From<BudgetsError> for Problem {
    fn from(error: BudgetsError) -> Self {
        match error {
            BudgetsError::Invalid(violations) => Self::invalid(violations),
            BudgetsError::Updating => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_updating",
                "Your database is being brought up to date and has no place for budgets yet. Try again in a minute.",
            ),
            BudgetsError::Database(error) => error.into(),
            BudgetsError::Platform(error) => error.into(),
        }
    }
}
