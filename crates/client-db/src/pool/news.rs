//! What the pools have learned, for those who show it: changes of state, and figures.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use stoa_domain::{DatabaseState, InstanceId};
use tokio::sync::Notify;

use super::{ClientDatabases, breaker::Fault, entry::Entry};

/// A database is in another state than it was, as far as this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseNews {
    /// Whose.
    pub instance: InstanceId,
    /// At which address this was learned.
    pub generation: i64,
    /// The state.
    pub state: DatabaseState,
    /// What is wrong with it, if something is.
    pub fault: Option<Fault>,
}

/// The last news of each instance until somebody takes them: as many as there are pools at most.
#[derive(Default)]
pub(super) struct NewsBox {
    waiting: Mutex<HashMap<InstanceId, DatabaseNews>>,
    arrived: Notify,
}

/// Figures of all pools.
#[derive(Debug, Clone)]
pub struct PoolsView {
    /// The most connections of all clients together.
    pub cap: usize,
    /// How many are open.
    pub open: usize,
    /// How many callers wait for a place under the cap.
    pub waiting: usize,
    /// The pools that there are.
    pub pools: Vec<PoolView>,
}

/// Figures of one client's pool.
#[derive(Debug, Clone)]
pub struct PoolView {
    /// Whose.
    pub instance: InstanceId,
    /// What is known of the database.
    pub state: Option<DatabaseState>,
    /// How many connections are in use.
    pub in_use: usize,
    /// How many rest.
    pub resting: usize,
    /// How many callers wait for a connection.
    pub waiting: usize,
    /// Whether callers are turned away at once.
    pub is_left_alone: bool,
    /// Failures by code since the pool was opened.
    pub failures: BTreeMap<&'static str, u64>,
    /// How often its schema was brought up to date.
    pub migrations: u64,
}

impl ClientDatabases {
    /// What has changed since the last call, the last of each instance only. Waits until something
    /// has.
    pub async fn news(&self) -> Vec<DatabaseNews> {
        let news = &self.inner.news;
        loop {
            let arrived = news.arrived.notified();
            let taken =
                std::mem::take(&mut *news.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken.into_values().collect();
            }
            arrived.await;
        }
    }

    /// Figures, as they are now.
    #[must_use]
    pub fn view(&self) -> PoolsView {
        let entries: Vec<_> = self.lock().values().map(Arc::clone).collect();
        PoolsView {
            cap: self.inner.settings.in_all,
            open: self.open_connections(),
            waiting: self.inner.gate.waiting(),
            pools: entries.iter().map(|entry| view(entry)).collect(),
        }
    }
}

impl Entry {
    /// Passes on what is new of the database.
    pub(super) fn take_note(&self) {
        if !self.breaker.take_news() || self.is_closed() {
            return;
        }
        let Some((state, fault)) = self.breaker.state() else {
            return;
        };
        let news = DatabaseNews {
            instance: self.instance,
            generation: self.generation,
            state,
            fault,
        };
        self.news
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(self.instance, news);
        self.news.arrived.notify_one();
    }
}

fn view(entry: &Entry) -> PoolView {
    let (in_use, resting) = entry.connections();
    PoolView {
        instance: entry.instance,
        state: entry.breaker.state().map(|(state, _)| state),
        in_use,
        resting,
        waiting: entry.waiting.load(Ordering::Relaxed),
        is_left_alone: entry.breaker.is_open(),
        failures: entry.breaker.failures(),
        migrations: entry.migrations.load(Ordering::Relaxed),
    }
}
