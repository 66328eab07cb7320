//! The shapes of checking and connecting a database.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stoa_app::database::{
    Check, CheckStatus, Connected, NewAddress, PreflightReport, SupabaseProject,
};
use stoa_app::moving::To;
use stoa_domain::DatabaseMode;
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::instances::view::InstanceView;

/// A database, as its connection string, and the Supabase project that it is part of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDatabase {
    /// `postgres://user:password@host:5432/database`. Left out for a managed one.
    #[schema(value_type = Option<String>, write_only)]
    url: Option<SecretString>,
    /// The certificate authorities by which the server proves itself, in PEM form, at most 64 KiB:
    /// for servers that no public authority has signed, such as Supabase's.
    #[schema(write_only)]
    ca_certificate: Option<String>,
    /// The Supabase project's address.
    supabase_url: Option<String>,
    /// The project's anon (or publishable) key.
    #[schema(value_type = Option<String>, write_only)]
    supabase_anon_key: Option<SecretString>,
    /// The secret that signs the project's tokens, to recognise its users.
    #[schema(value_type = Option<String>, write_only)]
    supabase_jwt_secret: Option<SecretString>,
    /// Whose it is: `external`, which is meant when nothing is said, or `managed`, to move back to
    /// the platform's cluster.
    mode: Option<DatabaseMode>,
    /// Whether what the present database holds moves along.
    #[serde(default, rename = "move")]
    with_data: bool,
}

impl NewDatabase {
    /// A database of the client's own.
    pub(super) fn into_address(self) -> Result<NewAddress, Problem> {
        if self.mode == Some(DatabaseMode::Managed) {
            let why = "a managed database is moved to with “move”: true";
            return Err(Problem::invalid_field("mode", why));
        }
        let url = self
            .url
            .ok_or_else(|| Problem::invalid_field("url", "the connection string"))?;
        Ok(NewAddress {
            url,
            ca_certificate: self.ca_certificate,
            supabase: SupabaseProject {
                url: self.supabase_url,
                anon_key: self.supabase_anon_key,
                jwt_secret: self.supabase_jwt_secret,
            },
        })
    }

    /// Where to move, when it is to be moved.
    pub(super) fn into_destination(self) -> Result<To, Problem> {
        if self.mode != Some(DatabaseMode::Managed) {
            return self.into_address().map(To::External);
        }
        let given = [
            ("url", self.url.is_some()),
            ("ca_certificate", self.ca_certificate.is_some()),
            ("supabase_url", self.supabase_url.is_some()),
            ("supabase_anon_key", self.supabase_anon_key.is_some()),
            ("supabase_jwt_secret", self.supabase_jwt_secret.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((field, _)) => Err(Problem::invalid_field(
                field,
                "left out for a managed database",
            )),
            None => Ok(To::Managed),
        }
    }

    /// Whether what the present database holds is to come along.
    pub(super) fn is_move(&self) -> bool {
        self.with_data
    }
}

/// What was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReportView {
    /// Whether the database can be used: nothing failed.
    pub(super) ok: bool,
    /// Each check, in order.
    pub(super) checks: Vec<CheckView>,
    /// The SQL that makes a role of least privilege, to be run by an owner of the database.
    pub(super) role_sql: String,
}

/// One check.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckView {
    /// What was looked at, such as `dns`, `tls`, `sign_in`, `version`, `rights` or `pgvector`.
    name: String,
    /// How it went.
    status: CheckStatusView,
    /// What was found.
    detail: String,
    /// What to do about it; null when nothing needs doing.
    remedy: Option<String>,
}

/// How a check went.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckStatusView {
    /// As it should be.
    Pass,
    /// Usable, and could be better.
    Warn,
    /// Not usable like this.
    Fail,
}

/// A database that was connected.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectedView {
    /// What was found.
    #[serde(flatten)]
    report: ReportView,
    /// The instance as it is now.
    instance: InstanceView,
}

impl From<PreflightReport> for ReportView {
    fn from(report: PreflightReport) -> Self {
        Self {
            ok: report.ok,
            checks: report.checks.into_iter().map(Into::into).collect(),
            role_sql: report.role_sql,
        }
    }
}

impl From<Check> for CheckView {
    fn from(check: Check) -> Self {
        Self {
            name: check.name,
            status: match check.status {
                CheckStatus::Pass => CheckStatusView::Pass,
                CheckStatus::Warn => CheckStatusView::Warn,
                CheckStatus::Fail => CheckStatusView::Fail,
            },
            detail: check.detail,
            remedy: check.remedy,
        }
    }
}

impl From<Connected> for ConnectedView {
    fn from(connected: Connected) -> Self {
        Self {
            report: connected.report.into(),
            instance: connected.registered.row().into(),
        }
    }
}
