//! Who did what, on whom: lines of the platform's audit log, written in the transaction of the deed.

use std::net::IpAddr;

use serde_json::Value;
use stoa_domain::{AuditEntryId, InstanceId};
use stoa_platform_db::audit_log::{self, ActorKind, NewAuditEntry};
use stoa_platform_db::{DbError, PgConnection};

use crate::App;
use crate::access::{Actor, ClientCaller, PlatformCaller};

/// Who acts, and from where.
#[derive(Clone, Debug)]
pub(crate) struct By {
    actor: audit_log::Actor,
    address: Option<IpAddr>,
}

impl By {
    /// The platform itself, which brings to its end what somebody began.
    pub(crate) fn system() -> Self {
        Self {
            actor: audit_log::Actor {
                kind: ActorKind::System,
                id: None,
                name: "stoa".to_owned(),
            },
            address: None,
        }
    }

    /// Somebody known by a credential.
    pub(crate) fn known(actor: Actor, name: &str, address: Option<IpAddr>) -> Self {
        let (kind, id) = match actor {
            Actor::PlatformToken(id) => (ActorKind::PlatformToken, Some(id.as_uuid())),
            Actor::ClientKey(id) => (ActorKind::ClientKey, Some(id.as_uuid())),
            Actor::SuperAdmin(id) => (ActorKind::SuperAdmin, Some(id.as_uuid())),
            Actor::ClientAdmin(id) => (ActorKind::InstanceAdmin, Some(id.as_uuid())),
            Actor::CommandLine => (ActorKind::CommandLine, None),
        };
        let name = name.to_owned();
        Self {
            actor: audit_log::Actor { kind, id, name },
            address,
        }
    }
}

impl From<&PlatformCaller> for By {
    fn from(caller: &PlatformCaller) -> Self {
        Self::known(caller.actor(), caller.name(), caller.address())
    }
}

impl From<&ClientCaller> for By {
    fn from(caller: &ClientCaller) -> Self {
        Self::known(caller.actor(), caller.name(), caller.address())
    }
}

/// What was done.
pub(crate) struct Deed<'a> {
    /// What, as `noun.verb`: `instance.suspended`.
    pub(crate) action: &'a str,
    /// On what kind of thing.
    pub(crate) target_kind: &'a str,
    /// On which one.
    pub(crate) target_id: String,
    /// In whose instance, if in one.
    pub(crate) instance: Option<InstanceId>,
    /// Why, where a reason is asked for.
    pub(crate) reason: Option<&'a str>,
    /// The difference, without secrets.
    pub(crate) details: Value,
}

impl<'a> Deed<'a> {
    /// Something done to an instance itself.
    pub(crate) fn on_instance(action: &'a str, instance: InstanceId, details: Value) -> Self {
        Self {
            action,
            target_kind: "instance",
            target_id: instance.to_string(),
            instance: Some(instance),
            reason: None,
            details,
        }
    }
}

/// Appends a line. Nobody else can append until the transaction ends, so this comes last in it.
pub(crate) async fn record(
    app: &App,
    connection: &mut PgConnection,
    by: impl Into<By>,
    deed: Deed<'_>,
) -> Result<(), DbError> {
    let By { actor, address } = by.into();
    let entry = NewAuditEntry {
        id: app.new_id(AuditEntryId::generate),
        at: app.clock().now(),
        actor,
        action: deed.action.to_owned(),
        target_kind: deed.target_kind.to_owned(),
        target_id: deed.target_id,
        instance: deed.instance,
        address,
        reason: deed.reason.map(str::to_owned),
        details: deed.details,
    };
    audit_log::append(connection, &entry).await?;
    Ok(())
}
