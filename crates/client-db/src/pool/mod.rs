//! Pools of connections to thousands of clients' databases.
//!
//! A pool opens on first use, holds a few connections, and closes them after a rest; an idle
//! client costs nothing. Written here rather than taken from a crate, because a global cap over
//! all pools, a breaker, and the marker and migrations at a new connection are one decision.

mod breaker;
mod entry;
mod gate;
#[cfg(test)]
mod leak_tests;
mod news;
mod schema;
mod watch;

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use stoa_domain::{DatabaseState, InstanceId};
use stoa_outbound::Outbound;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    address::DatabaseAddress,
    connection::ClientConnection,
    error::ClientDbError,
    migrate::Migrations,
    preflight::{self, PreflightReport},
    wire::Deadlines,
};
use entry::{Entry, Idle};
use gate::{Gate, Place};
use news::NewsBox;
use schema::Schemas;

pub(crate) use breaker::Breaker;
pub use breaker::Fault;
pub use news::{DatabaseNews, PoolView, PoolsView};
pub use schema::SchemaNews;

/// How often resting connections are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(5);

/// How pools behave.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// The most connections of one client.
    pub per_client: usize,
    /// The most connections of all clients together.
    pub in_all: usize,
    /// After how long a rest a connection is closed.
    pub idle_close: Duration,
    /// How long a caller waits for a connection that others hold. Opening one takes its own time.
    pub acquire: Duration,
    /// How long connecting and statements may take.
    pub deadlines: Deadlines,
    /// Whether a database must carry its own instance's marker.
    pub marker_required: bool,
    /// Whether an empty database is set up. Where instances are at work, an empty one has lost what
    /// it held, and is left as it is.
    pub sets_up: bool,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            per_client: 5,
            in_all: 500,
            idle_close: Duration::from_secs(60),
            acquire: Duration::from_secs(2),
            deadlines: Deadlines::default(),
            marker_required: true,
            sets_up: true,
        }
    }
}

/// Whose database, at which address.
#[derive(Debug, Clone)]
pub struct Target {
    /// The instance.
    pub instance: InstanceId,
    /// Grows with every change of the address: connections of an older one are not used again.
    pub generation: i64,
    /// The address.
    pub address: Arc<DatabaseAddress>,
}

/// All clients' databases. Cheap to clone; clones share the pools.
#[derive(Clone)]
pub struct ClientDatabases {
    inner: Arc<Inner>,
}

struct Inner {
    outbound: Outbound,
    settings: PoolSettings,
    tasks: TaskTracker,
    schemas: Schemas,
    entries: Mutex<HashMap<InstanceId, Arc<Entry>>>,
    gate: Arc<Gate>,
    news: Arc<NewsBox>,
}

/// A connection on loan. Goes back when dropped.
pub struct PooledConnection {
    /// Present until dropped.
    connection: Option<ClientConnection>,
    entry: Arc<Entry>,
    databases: ClientDatabases,
    place: Option<Place>,
    _turn: OwnedSemaphorePermit,
}

impl ClientDatabases {
    /// No pools yet. `tasks` gets one task per open connection; spawn [`Self::keep_house`] there too.
    #[must_use]
    pub fn new(outbound: Outbound, settings: PoolSettings, tasks: TaskTracker) -> Self {
        Self::with_migrations(outbound, settings, Migrations::shipped(), tasks)
    }

    /// The same, with other migrations than the shipped ones.
    #[must_use]
    pub fn with_migrations(
        outbound: Outbound,
        settings: PoolSettings,
        migrations: Migrations,
        tasks: TaskTracker,
    ) -> Self {
        let inner = Arc::new(Inner {
            outbound,
            settings,
            tasks,
            schemas: Schemas::new(migrations),
            entries: Mutex::new(HashMap::new()),
            gate: Gate::new(settings.in_all),
            news: Arc::default(),
        });
        Self { inner }
    }

    /// The same settings with pools of its own, to try an address before it is an instance's.
    #[must_use]
    pub fn apart(&self) -> Self {
        let inner = &self.inner;
        let settings = PoolSettings {
            sets_up: true,
            ..inner.settings
        };
        Self::with_migrations(
            inner.outbound.clone(),
            settings,
            inner.schemas.migrations.clone(),
            inner.tasks.clone(),
        )
    }

    /// Looks at a database as `instance` would use it. Changes nothing that outlives the check.
    pub async fn preflight(
        &self,
        address: &DatabaseAddress,
        instance: InstanceId,
    ) -> PreflightReport {
        let Inner {
            outbound,
            settings,
            tasks,
            ..
        } = &*self.inner;
        let (deadlines, marker) = (settings.deadlines, settings.marker_required);
        preflight::checked(outbound, address, instance, deadlines, tasks, marker).await
    }

    /// The door that these connections go through.
    #[must_use]
    pub fn outbound(&self) -> &Outbound {
        &self.inner.outbound
    }

    /// A connection to a client's database, migrated and proved to be this instance's.
    ///
    /// # Errors
    ///
    /// `Moved` once it was found that everything is in another database, `Busy` when none is free in time, `Resting` at once while the breaker is open, else what
    /// went wrong with opening one.
    pub async fn checkout(&self, target: &Target) -> Result<PooledConnection, ClientDbError> {
        let settings = &self.inner.settings;
        let entry = self.entry(target);
        if entry.is_moved() {
            return Err(ClientDbError::Moved);
        }
        let until = Instant::now() + settings.acquire;
        entry.touch();
        let _waiting = CountedIn::to(&entry.waiting);
        self.admit(&entry, until).await?;
        let turn = timeout_at(until, Arc::clone(&entry.turns).acquire_owned())
            .await
            .map_err(|_| ClientDbError::Busy)?
            .map_err(|_| ClientDbError::Busy)?;
        // It may have failed for those who were before this one in the line.
        if let Some(refusal) = entry.breaker.refusal() {
            return Err(refusal);
        }
        if let Some(idle) = entry.take_idle() {
            return Ok(self.lend(&entry, idle.connection, idle.place, turn));
        }
        let place = self.place(entry.instance, until).await?;
        // Boxed, since it is large and every caller's future would hold it, and rare.
        let opened = Box::pin(entry.open(&self.inner, settings.deadlines)).await;
        self.after_use(&entry);
        Ok(self.lend(&entry, opened?, place, turn))
    }

    /// What is known of a client's database; `None` when nobody has asked for it lately.
    #[must_use]
    pub fn state(&self, instance: InstanceId) -> Option<DatabaseState> {
        let state = self.lock().get(&instance)?.breaker.state()?;
        Some(state.0)
    }

    /// The generation of the address that a client's pool leads to, if it has a pool.
    #[must_use]
    pub fn generation(&self, instance: InstanceId) -> Option<i64> {
        self.lock().get(&instance).map(|entry| entry.generation)
    }

    /// Whether callers are turned away at once, because the database has failed.
    #[must_use]
    pub fn is_resting(&self, instance: InstanceId) -> bool {
        let entry = self.lock().get(&instance).map(Arc::clone);
        entry.is_some_and(|entry| entry.breaker.is_open())
    }

    /// Closes a client's connections: resting ones now, those in use when they come back.
    pub fn forget(&self, instance: InstanceId) {
        if let Some(entry) = self.lock().remove(&instance) {
            entry.close();
        }
    }

    /// How many connections are open, over all clients.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.inner.settings.in_all - self.inner.gate.free()
    }

    /// Closes resting connections every few seconds until `stopped`, then all of them.
    pub async fn keep_house(&self, stopped: CancellationToken) {
        let mut ticks = tokio::time::interval(HOUSEKEEPING);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.close_idle(),
                () = stopped.cancelled() => break,
            }
        }
        for (_, entry) in std::mem::take(&mut *self.lock()) {
            entry.close();
        }
    }

    /// Closes connections that have rested long enough, and forgets clients that have none.
    pub fn close_idle(&self) {
        let rested = self.inner.settings.idle_close;
        let mut closed = Vec::new();
        self.lock().retain(|_, entry| {
            closed.extend(entry.take_rested(rested));
            !entry.is_forgettable(rested)
        });
    }

    /// The pool for this target: a new one when the address has changed since.
    fn entry(&self, target: &Target) -> Arc<Entry> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(&target.instance) {
            // An older target is served by the newer address: the caller's snapshot is stale.
            if entry.generation >= target.generation {
                return Arc::clone(entry);
            }
            entry.close();
        }
        let entry = Arc::new(Entry::new(
            target,
            &self.inner.settings,
            Arc::clone(&self.inner.news),
        ));
        entries.insert(target.instance, Arc::clone(&entry));
        entry
    }

    /// A place under the global cap; taken from whoever has rested longest when there is none.
    async fn place(&self, instance: InstanceId, until: Instant) -> Result<Place, ClientDbError> {
        let gate = &self.inner.gate;
        if let Some(place) = gate.try_enter() {
            return Ok(place);
        }
        // In line first: what is given up then goes to the first of the line.
        let line = gate.line_up(instance);
        let longest = {
            let entries = self.lock();
            let longest = entries
                .values()
                .filter_map(|entry| {
                    entry
                        .resting_since()
                        .map(|since| (since, Arc::clone(entry)))
                })
                .min_by_key(|(since, _)| *since);
            longest.and_then(|(_, entry)| entry.take_longest_resting())
        };
        drop(longest);
        timeout_at(until, line)
            .await
            .map_err(|_| ClientDbError::Busy)?
            .map_err(|_| ClientDbError::Busy)
    }

    /// What follows from how a connection fared: a database that is left alone keeps none, one that
    /// failed is looked at, and whoever wants to know is told.
    fn after_use(&self, entry: &Arc<Entry>) {
        if entry.breaker.is_open() {
            entry.close_resting();
        }
        if entry.breaker.is_in_doubt() {
            self.look_if_due(entry);
        }
        entry.take_note();
    }

    fn lend(
        &self,
        entry: &Arc<Entry>,
        connection: ClientConnection,
        place: Place,
        turn: OwnedSemaphorePermit,
    ) -> PooledConnection {
        PooledConnection {
            connection: Some(connection),
            entry: Arc::clone(entry),
            databases: self.clone(),
            place: Some(place),
            _turn: turn,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, Arc<Entry>>> {
        self.inner
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One more in a count, for as long as it lives.
struct CountedIn<'a>(&'a AtomicUsize);

impl<'a> CountedIn<'a> {
    fn to(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for CountedIn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PooledConnection {
    fn connection(&self) -> &ClientConnection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a connection is there until it is dropped"),
        }
    }
}

impl Deref for PooledConnection {
    type Target = ClientConnection;

    fn deref(&self) -> &ClientConnection {
        self.connection()
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut ClientConnection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("a connection is there until it is dropped"),
        }
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let (Some(connection), Some(place)) = (self.connection.take(), self.place.take()) else {
            return;
        };
        if connection.met_a_closed_door() {
            self.entry.set_moved();
        }
        self.databases.after_use(&self.entry);
        // Somebody waiting for a place under the cap comes before a connection's next use.
        let is_wanted_elsewhere = self.databases.inner.gate.waiting() > 0;
        if connection.is_fit() && !is_wanted_elsewhere && !self.entry.breaker.is_open() {
            self.entry.put_back(Idle {
                connection,
                place,
                since: Instant::now(),
            });
        }
    }
}
