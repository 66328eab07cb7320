//! Who did what, on whom, from where: append-only and hash-chained.
//!
//! Each line's hash covers all of it and the hash of the line before, so that a line changed,
//! moved or taken out of the middle is found by [`verify`]. Lines cut off at the end are found by
//! whoever kept an earlier [`head`] elsewhere.

mod chain;
mod queries;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use stoa_domain::{ApiTokenId, AuditEntryId, InstanceAdminId, InstanceId, SuperAdminId};
use uuid::Uuid;

use crate::stored::words;

pub use queries::{Filter, append, head, list, verify};

words! {
    /// What kind of caller acted.
    ActorKind {
        /// A super admin in the console.
        SuperAdmin = "super_admin",
        /// A client admin in theirs.
        InstanceAdmin = "instance_admin",
        /// A program with a platform token.
        PlatformToken = "platform_token",
        /// A program with a client API key.
        ClientKey = "client_key",
        /// Somebody at the command line.
        CommandLine = "command_line",
        /// The platform itself: a job, a sweep.
        System = "system",
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// What kind of caller.
    pub kind: ActorKind,
    /// Its id, where it has one.
    pub id: Option<Uuid>,
    /// How people know it: an admin's address, a token's name.
    pub name: String,
}

impl Actor {
    /// A super admin.
    #[must_use]
    pub fn super_admin(id: SuperAdminId, email: &str) -> Self {
        Self::new(ActorKind::SuperAdmin, Some(id.as_uuid()), email)
    }

    /// A client admin.
    #[must_use]
    pub fn instance_admin(id: InstanceAdminId, email: &str) -> Self {
        Self::new(ActorKind::InstanceAdmin, Some(id.as_uuid()), email)
    }

    /// A program with a platform token.
    #[must_use]
    pub fn platform_token(id: ApiTokenId, name: &str) -> Self {
        Self::new(ActorKind::PlatformToken, Some(id.as_uuid()), name)
    }

    /// A program with a client API key.
    #[must_use]
    pub fn client_key(id: ApiTokenId, name: &str) -> Self {
        Self::new(ActorKind::ClientKey, Some(id.as_uuid()), name)
    }

    /// Somebody at the command line, where there are no accounts.
    #[must_use]
    pub fn command_line() -> Self {
        Self::new(ActorKind::CommandLine, None, "command line")
    }

    /// The platform itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self::new(ActorKind::System, None, part)
    }

    fn new(kind: ActorKind, id: Option<Uuid>, name: &str) -> Self {
        Self {
            kind,
            id,
            name: name.to_owned(),
        }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAuditEntry {
    /// The line's id.
    pub id: AuditEntryId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`: `instance.suspended`.
    pub action: String,
    /// On what kind of thing.
    pub target_kind: String,
    /// On which one.
    pub target_id: String,
    /// In whose instance, if in one.
    pub instance: Option<InstanceId>,
    /// From where.
    pub address: Option<IpAddr>,
    /// Why, where a reason is asked for.
    pub reason: Option<String>,
    /// The difference, without secrets.
    pub details: serde_json::Value,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its place in the chain, from 1 without gaps.
    pub position: i64,
    /// What was done.
    pub entry: NewAuditEntry,
}

/// The end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last line's place; 0 when there is none.
    pub position: i64,
    /// The last line's hash.
    pub hash: [u8; 32],
}

/// What a walk along the chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every line is as it was written.
    Intact(Head),
    /// The line at this place is not the one that was written, or one before it is missing.
    Broken {
        /// The first place that does not hold.
        position: i64,
    },
}
