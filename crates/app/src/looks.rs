//! How an instance's chat looks, also while its database is away: visitors of a client that has
//! closed its database see the client's own name, words and colours, and that the chat is offline.
//!
//! What was last read of the public settings is remembered in this process and nowhere else, for
//! a bounded number of instances. Where nothing is remembered, the instance's name has to do.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use stoa_domain::{InstanceId, LiveConfiguration};

use crate::App;
use crate::database::DatabaseError;
use crate::registry::Registered;

const MOST_REMEMBERED: u64 = 5_000;
/// Longer than outages that anybody waits for; without a visitor for so long it is forgotten.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How a chat looks.
#[derive(Clone)]
pub struct Looks {
    /// Its settings; the default ones where nobody knows them.
    pub live: LiveConfiguration,
    /// Their version; 0 before the first change.
    pub version: i32,
    /// Whether the chat can be used: its database is not known to be away.
    pub is_available: bool,
    /// Whether the settings are the instance's own, as far as this process knows.
    pub(crate) is_known: bool,
}

/// What was last read, by instance.
pub(crate) struct Remembered(Cache<InstanceId, Arc<(LiveConfiguration, i32)>>);

impl Default for Remembered {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(MOST_REMEMBERED)
            .time_to_idle(REMEMBERED_FOR)
            .build();
        Self(cache)
    }
}

impl Remembered {
    pub(crate) async fn keep(&self, instance: InstanceId, live: &LiveConfiguration, version: i32) {
        let looks = Arc::new((live.clone(), version));
        self.0.insert(instance, looks).await;
    }
}

impl App {
    /// How an instance's chat looks now.
    ///
    /// # Errors
    /// When the registry fails, or what the client's database holds cannot be read.
    pub async fn looks(&self, registered: &Registered) -> Result<Looks, DatabaseError> {
        match self.contents(registered).await {
            Ok(contents) => Ok(Looks {
                live: contents.live.clone(),
                version: contents.live_version,
                is_available: !self.clients().is_resting(registered.id()),
                is_known: true,
            }),
            Err(DatabaseError::Unset) => Ok(Looks {
                live: LiveConfiguration::default(),
                version: 0,
                is_available: true,
                is_known: true,
            }),
            Err(error) if error.is_outage() => {
                tracing::debug!(instance = %registered.id(), code = error.code(), "a chat is shown as it last looked");
                Ok(self.last_looks(registered.id()).await)
            }
            Err(error) => Err(error),
        }
    }

    async fn last_looks(&self, instance: InstanceId) -> Looks {
        let remembered = self.remembered().0.get(&instance).await;
        let is_known = remembered.is_some();
        let (live, version) = remembered.map(|it| (*it).clone()).unwrap_or_default();
        Looks {
            live,
            version,
            is_available: false,
            is_known,
        }
    }
}
