//! What is wrong with a database, in one screen, and how to mend it.

mod authority;
mod inspect;
mod reach;
mod role_sql;
mod supabase;

use serde::{Deserialize, Serialize};
use stoa_domain::InstanceId;
use stoa_outbound::Outbound;
use tokio_util::task::TaskTracker;

use crate::{address::DatabaseAddress, wire::Deadlines};
pub use authority::authority_check;
pub use role_sql::role_sql;

/// What was looked at, in order, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightReport {
    /// Whether the database can be used: nothing failed.
    pub ok: bool,
    /// Each check. After one that blocks the rest, a last entry says what was not looked at.
    pub checks: Vec<Check>,
    /// The SQL that makes a role of least privilege and its schema, to be run by an owner.
    pub role_sql: String,
    /// What is worth keeping about the database.
    pub facts: Facts,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `address`, `dns`, `connect`, `tls`, `sign_in`, `version`, `rights`, `settings`, `pooler`, `pgvector`,
    /// `ownership`, `write_and_read_back`; `not_checked` for what an earlier failure blocked.
    pub name: String,
    /// How it went.
    pub status: CheckStatus,
    /// What was found.
    pub detail: String,
    /// What to do about it; absent when nothing needs doing.
    pub remedy: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Pass,
    /// Usable, and could be better.
    Warn,
    /// Not usable like this.
    Fail,
}

/// What is worth keeping about a database. Absent where it was not found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The host and port, fit to be shown.
    pub host: Option<String>,
    /// Such as `16.3`.
    pub version: Option<String>,
    /// pgvector's version, where it is installed or will be by us.
    pub pgvector: Option<String>,
    /// `none`, `session` or `transaction`.
    pub pooler: Option<String>,
    /// Whether the database carries the marker of the instance for which it was checked.
    pub own: bool,
    /// Whether a platform's own tables are in it.
    pub platform: bool,
}

/// Looks at a database as `instance` would use it. Changes nothing in it that outlives the check.
pub async fn check(
    outbound: &Outbound,
    address: &DatabaseAddress,
    instance: InstanceId,
    deadlines: Deadlines,
    tasks: &TaskTracker,
) -> PreflightReport {
    checked(outbound, address, instance, deadlines, tasks, true).await
}

/// The check, with or without regard to whose the database says it is.
pub(crate) async fn checked(
    outbound: &Outbound,
    address: &DatabaseAddress,
    instance: InstanceId,
    deadlines: Deadlines,
    tasks: &TaskTracker,
    marker_required: bool,
) -> PreflightReport {
    let mut findings = Findings::new(address);
    let reached = reach::reach(outbound, address, deadlines, tasks, &mut findings).await;
    if let Some(connection) = reached {
        let place = inspect::Place {
            outbound,
            address,
            deadlines,
            tasks,
            marker_required,
        };
        inspect::inspect(connection, &place, instance, &mut findings).await;
    }
    findings.into_report()
}

/// The order of the checks, to say which ones were not reached.
const ORDER: [&str; 12] = [
    "address",
    "dns",
    "connect",
    "tls",
    "sign_in",
    "version",
    "rights",
    "settings",
    "pooler",
    "pgvector",
    "ownership",
    "write_and_read_back",
];

/// A report as it grows.
struct Findings {
    checks: Vec<Check>,
    facts: Facts,
    role_sql: String,
}

impl Findings {
    fn new(address: &DatabaseAddress) -> Self {
        Self {
            checks: Vec::new(),
            facts: Facts {
                host: Some(address.display_host()),
                ..Facts::default()
            },
            role_sql: role_sql(address.role(), address.database()),
        }
    }

    fn pass(&mut self, name: &str, detail: impl Into<String>) {
        self.add(name, CheckStatus::Pass, detail.into(), None);
    }

    fn warn(&mut self, name: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(name, CheckStatus::Warn, detail.into(), Some(remedy.into()));
    }

    fn fail(&mut self, name: &str, detail: impl Into<String>, remedy: impl Into<String>) {
        self.add(name, CheckStatus::Fail, detail.into(), Some(remedy.into()));
    }

    fn add(&mut self, name: &str, status: CheckStatus, detail: String, remedy: Option<String>) {
        self.checks.push(Check {
            name: name.to_owned(),
            status,
            detail,
            remedy,
        });
    }

    fn into_report(mut self) -> PreflightReport {
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|it| it.status == CheckStatus::Fail)
            .map(|it| it.name.clone())
            .collect();
        let last = self
            .checks
            .last()
            .and_then(|it| ORDER.iter().position(|name| *name == it.name));
        let not_reached = last.map_or(&ORDER[..], |last| &ORDER[last + 1..]);
        if let Some(blocker) = failed.last()
            && !not_reached.is_empty()
        {
            let detail = format!(
                "not checked because `{blocker}` failed: {}",
                not_reached.join(", ")
            );
            self.fail(
                "not_checked",
                detail,
                format!("Mend `{blocker}` first, then check again."),
            );
        }
        let ok = failed.is_empty();
        PreflightReport {
            ok,
            checks: self.checks,
            role_sql: self.role_sql,
            facts: self.facts,
        }
    }
}
