//! Failures of AI configurations, as problems.

use axum::http::StatusCode;
use stoa_app::api_configurations::{ApiConfigurationError, MOST_CONFIGURATIONS};

use crate::http::problem::Problem;

impl From<ApiConfigurationError> for Problem {
    fn from(error: ApiConfigurationError) -> Self {
        match error {
            ApiConfigurationError::NotFound => Self::not_found(),
            ApiConfigurationError::Invalid(violations) => Self::invalid(violations),
            ApiConfigurationError::KeyRequired => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_required",
                "A stored key goes to no other address than the one it was given for. Send api_key again with the new provider or base_url, or null to go without.",
            ),
            ApiConfigurationError::TooMany => Self::new(
                StatusCode::CONFLICT,
                "too_many_api_configurations",
                format!(
                    "There are {MOST_CONFIGURATIONS} configurations already. Remove one first."
                ),
            ),
            ApiConfigurationError::NoModels(failure) => Self::new(
                StatusCode::BAD_GATEWAY,
                "models_unavailable",
                format!(
                    "The provider did not list its models ({}: {}). Test the configuration, or type the model's name.",
                    failure.code, failure.message
                ),
            ),
            ApiConfigurationError::Sealed(error) => Self::internal(&error),
            ApiConfigurationError::Database(error) => error.into(),
            ApiConfigurationError::Platform(error) => error.into(),
        }
    }
}
