//! Failures of the live configuration, as problems.

use axum::http::StatusCode;
use stoa_app::live_configuration::LiveConfigurationError;

use crate::http::problem::Problem;

impl From<LiveConfigurationError> for Problem {
    fn from(error: LiveConfigurationError) -> Self {
        match error {
            LiveConfigurationError::Invalid(violations) => Self::invalid(violations),
            LiveConfigurationError::Outdated { current } => Self::new(
                StatusCode::CONFLICT,
                "configuration_outdated",
                format!(
                    "The settings have changed meanwhile: version {current} is current. Read them again and repeat the change."
                ),
            ),
            LiveConfigurationError::NotFound => Self::not_found(),
            LiveConfigurationError::Database(error) => error.into(),
            LiveConfigurationError::Registry(error) => error.into(),
        }
    }
}
