//! Why a database was not connected, as problems.

use axum::http::StatusCode;
use serde_json::json;
use stoa_app::database::{CheckStatus, ConnectError, PreflightReport};

use stoa_app::moving::MoveError;

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
                "This instance has a database that holds data, or that cannot be looked into now, and the new address leads to another one: the data would be left behind. With “move”: true it moves along.",
            ),
            ConnectError::Departed => Self::new(
                StatusCode::CONFLICT,
                "database_moved_away",
                "This database was moved away from and is kept as it was, closed to writers. To use it again, drop it first: DELETE /api/client/v1/database/previous, or drop the schema stoa in it.",
            ),
            ConnectError::Moving => MoveError::UnderWay.into(),
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

impl From<MoveError> for Problem {
    fn from(error: MoveError) -> Self {
        let (code, detail) = match error {
            MoveError::Connect(error) => return error.into(),
            MoveError::Database(error) => return error.into(),
            MoveError::Registry(error) => return error.into(),
            MoveError::Platform(error) => return error.into(),
            MoveError::Sealed(error) => return Self::internal(&error),
            MoveError::NoInstance => return Self::not_found(),
            MoveError::None => (
                "no_move_under_way",
                "No move is under way. GET /api/client/v1/database/move shows the last one.",
            ),
            MoveError::UnderWay => (
                "database_move_under_way",
                "The database is being moved. Wait until GET /api/client/v1/database/move says that it is done, or call it off with POST /api/client/v1/database/move/cancel.",
            ),
            MoveError::IsManaged => (
                "database_is_managed",
                "The database is a managed one already. Give the url of another one to move to.",
            ),
            MoveError::NoCluster => (
                "no_cluster",
                "The platform has no cluster for managed databases. Its operator sets STOA_MANAGED_DATABASE_URL.",
            ),
            MoveError::PreviousKept => (
                "previous_database_kept",
                "The database that was left before is still kept. Drop it first, with DELETE /api/client/v1/database/previous.",
            ),
            MoveError::NotEmpty => (
                "move_destination_not_empty",
                "The new database holds data of this instance already, which would be mixed with what comes. Drop the schema stoa in it, or use another database.",
            ),
            MoveError::NothingKept => (
                "no_previous_database",
                "No former database is kept: there is nothing to drop.",
            ),
            MoveError::TooLate => (
                "database_move_too_late",
                "The move is just switching or has switched. GET /api/client/v1/database/move shows how it ends.",
            ),
            MoveError::InUse => (
                "previous_database_in_use",
                "The former database is the one in use now, so it is not dropped.",
            ),
        };
        Self::new(StatusCode::CONFLICT, code, detail)
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
