//! The shapes of checking and connecting a database.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stoa_app::database::{
    Check, CheckStatus, Connected, NewAddress, PreflightReport, SupabaseProject,
};
use utoipa::ToSchema;

use crate::instances::view::InstanceView;

/// A database, as its connection string, and the Supabase project that it is part of.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDatabase {
    /// `postgres://user:password@host:5432/database`.
    #[schema(value_type = String, write_only)]
    url: SecretString,
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
}

impl From<NewDatabase> for NewAddress {
    fn from(new: NewDatabase) -> Self {
        Self {
            url: new.url,
            ca_certificate: new.ca_certificate,
            supabase: SupabaseProject {
                url: new.supabase_url,
                anon_key: new.supabase_anon_key,
                jwt_secret: new.supabase_jwt_secret,
            },
        }
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
