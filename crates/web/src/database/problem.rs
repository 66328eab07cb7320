//! Why a database was not connected, as problems.

use axum::http::StatusCode;
use serde_json::json;
use stoa_app::database::{CheckStatus, ConnectError, PreflightReport};

use super::view::ReportView;
use crate::http::problem::Problem;

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Invalid(violations) => Self::invalid(violations),
            ConnectError::IsPlatform(report) => refused(
                "database_is_platform",
                "This is the platform's own database. Use a database of your own.".into(),
                *report,
            ),
            ConnectError::CheckFailed(report) => {
                refused("database_check_failed", failures(&report), *report)
            }
            ConnectError::AlreadySet => Self::new(
                StatusCode::CONFLICT,
                "database_already_set",
                "This instance has a database that holds data, or that cannot be looked into now, and the new address leads to another one: the data would be left behind.",
            ),
            ConnectError::Changed => Self::new(
                StatusCode::CONFLICT,
                "database_changed",
                "The database was changed by somebody else at the same time. Look at the instance and try again.",
            ),
            ConnectError::Dedicated => Self::new(
                StatusCode::CONFLICT,
                "dedicated_deployment",
                "This deployment is dedicated to this instance, and its database is the one in CLIENT_DATABASE_URL. Change it there and restart.",
            ),
            ConnectError::Sealed(error) => Self::internal(&error),
            ConnectError::Database(error) => error.into(),
            ConnectError::Registry(error) => error.into(),
            ConnectError::Platform(error) => error.into(),
        }
    }
}

fn refused(code: &'static str, detail: String, report: PreflightReport) -> Problem {
    let ReportView {
        checks, role_sql, ..
    } = report.into();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        .with_extension(json!({"ok": false, "checks": checks, "role_sql": role_sql}))
}

/// The first failure in a sentence, with what to do about it.
fn failures(report: &PreflightReport) -> String {
    let failed = report
        .checks
        .iter()
        .find(|check| check.status == CheckStatus::Fail);
    match failed {
        Some(check) => format!(
            "The database cannot be used: {}. {}",
            check.detail,
            check.remedy.as_deref().unwrap_or_default()
        ),
        None => "The database cannot be used.".into(),
    }
}
