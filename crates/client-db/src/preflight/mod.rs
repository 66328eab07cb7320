//! What is wrong with a database, in one screen, and how to mend it.

use serde::{Deserialize, Serialize};
use stoa_domain::InstanceId;
use stoa_outbound::Outbound;
use tokio_util::task::TaskTracker;

use crate::{address::DatabaseAddress, wire::Deadlines};

/// What was looked at, in order, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreflightReport {
    /// Whether the database can be used: nothing failed.
    pub ok: bool,
    /// Each check. After one that blocks the rest, one entry says what was not looked at.
    pub checks: Vec<Check>,
    /// The SQL that makes a role of least privilege and its schema, to be run by an owner.
    pub role_sql: String,
    /// What is worth keeping about the database.
    pub facts: Facts,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// `address`, `dns`, `tls`, `sign_in`, `version`, `rights`, `pooler`, `pgvector`, `ownership`,
    /// `write_and_read_back`.
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
}

/// Looks at a database as `instance` would use it. Changes nothing in it that outlives the check.
pub async fn check(
    outbound: &Outbound,
    address: &DatabaseAddress,
    instance: InstanceId,
    deadlines: Deadlines,
    tasks: &TaskTracker,
) -> PreflightReport {
    let _ = (outbound, instance, deadlines, tasks);
    PreflightReport {
        ok: false,
        checks: Vec::new(),
        role_sql: String::new(),
        facts: Facts {
            host: Some(address.display_host()),
            ..Facts::default()
        },
    }
}
