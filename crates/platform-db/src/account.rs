//! Who may sign in: a super admin, or an admin of one instance.

use stoa_domain::{AdminRole, Email, InstanceAdminId, InstanceId, SuperAdminId};
use uuid::Uuid;

use crate::{DbError, stored};

/// The account that a link or a browser's session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountId {
    /// One who runs the platform.
    SuperAdmin(SuperAdminId),
    /// One who runs an instance.
    InstanceAdmin(InstanceAdminId),
}

impl AccountId {
    /// For the two columns of which exactly one is set.
    pub(crate) const fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::SuperAdmin(id) => (Some(id.as_uuid()), None),
            Self::InstanceAdmin(id) => (None, Some(id.as_uuid())),
        }
    }
}

/// The account as it is now, with what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// One who runs the platform.
    SuperAdmin {
        /// The account.
        id: SuperAdminId,
        /// Its address.
        email: Email,
    },
    /// One who runs an instance.
    InstanceAdmin {
        /// The account.
        id: InstanceAdminId,
        /// Whose console it opens.
        instance: InstanceId,
        /// Its address.
        email: Email,
        /// What it may do there.
        role: AdminRole,
    },
}

impl Account {
    /// The account's id.
    #[must_use]
    pub const fn id(&self) -> AccountId {
        match self {
            Self::SuperAdmin { id, .. } => AccountId::SuperAdmin(*id),
            Self::InstanceAdmin { id, .. } => AccountId::InstanceAdmin(*id),
        }
    }

    /// The account's address.
    #[must_use]
    pub const fn email(&self) -> &Email {
        match self {
            Self::SuperAdmin { email, .. } | Self::InstanceAdmin { email, .. } => email,
        }
    }
}

/// The columns of a row that was joined with both kinds of account; one kind is set.
pub(crate) struct AccountColumns {
    pub(crate) super_admin_id: Option<Uuid>,
    pub(crate) instance_admin_id: Option<Uuid>,
    pub(crate) instance_id: Option<Uuid>,
    pub(crate) email: Option<String>,
    pub(crate) role: Option<String>,
}

impl TryFrom<AccountColumns> for Account {
    type Error = DbError;

    fn try_from(row: AccountColumns) -> Result<Self, DbError> {
        let email = Email::parse(row.email.as_deref().unwrap_or_default())
            .map_err(stored::not_understood("email"))?;
        if let Some(id) = row.super_admin_id {
            let id = SuperAdminId::from_uuid(id);
            return Ok(Self::SuperAdmin { id, email });
        }
        Ok(Self::InstanceAdmin {
            id: InstanceAdminId::from_uuid(row.instance_admin_id.unwrap_or_default()),
            instance: InstanceId::from_uuid(row.instance_id.unwrap_or_default()),
            email,
            role: stored::word("role", row.role.as_deref().unwrap_or_default())?,
        })
    }
}
