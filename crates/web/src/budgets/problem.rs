//! Failures of budgets, as problems.

use stoa_app::budgets::BudgetsError;

use crate::http::problem::Problem;

impl From<BudgetsError> for Problem {
    fn from(error: BudgetsError) -> Self {
        match error {
            BudgetsError::Invalid(violations) => Self::invalid(violations),
            BudgetsError::Database(error) => error.into(),
            BudgetsError::Platform(error) => error.into(),
        }
    }
}
