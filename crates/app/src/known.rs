//! The instances that this process has read from the registry, and those that it knows to be
//! different by now.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use stoa_domain::InstanceId;

use crate::registry::Registered;

/// Longer than anything holds a [`Registered`]: an answer takes at most ten minutes.
const HELD_AT_MOST: Duration = Duration::from_secs(15 * 60);
const MOST_CHANGED: u64 = 20_000;

/// Registered instances by id.
pub(crate) struct KnownInstances {
    read: Cache<InstanceId, Arc<Registered>>,
    /// Changed since they were last read: what somebody still holds of one is out of date.
    changed: Cache<InstanceId, ()>,
}

impl KnownInstances {
    pub(crate) fn new(read: Cache<InstanceId, Arc<Registered>>) -> Self {
        let changed = Cache::builder()
            .max_capacity(MOST_CHANGED)
            .time_to_live(HELD_AT_MOST)
            .build();
        Self { read, changed }
    }

    pub(crate) async fn get(&self, id: InstanceId) -> Option<Arc<Registered>> {
        self.read.get(&id).await
    }

    /// Takes in what was just read.
    pub(crate) async fn insert(&self, registered: Arc<Registered>) {
        let id = registered.id();
        self.read.insert(id, registered).await;
        self.changed.invalidate(&id).await;
    }

    /// Notes that an instance has changed.
    pub(crate) async fn forget(&self, id: InstanceId) {
        self.changed.insert(id, ()).await;
        self.read.invalidate(&id).await;
    }

    pub(crate) fn forget_all(&self) {
        self.read.invalidate_all();
    }

    /// Whether what is held of an instance is known to be out of date.
    pub(crate) fn has_changed(&self, id: InstanceId) -> bool {
        self.changed.contains_key(&id)
    }
}
