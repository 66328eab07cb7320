//! Failures of the instructions, as problems.

use stoa_app::rag_instructions::RagInstructionsError;

use crate::http::problem::Problem;

impl From<RagInstructionsError> for Problem {
    fn from(error: RagInstructionsError) -> Self {
        match error {
            RagInstructionsError::Invalid(violations) => Self::invalid(violations),
            RagInstructionsError::Database(error) => error.into(),
        }
    }
}
