//! Pools of connections to thousands of clients' databases.
//!
//! A pool opens on first use, holds a few connections, and closes them after a rest; an idle
//! client costs nothing. Written here rather than taken from a crate, because a global cap over
//! all pools, a breaker, and the marker and migrations at a new connection are one decision.

mod breaker;
mod entry;
mod schema;

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
    sync::{OwnedSemaphorePermit, Semaphore},
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
pub use schema::SchemaNews;
use schema::Schemas;

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
    in_all: Arc<Semaphore>,
    /// How many callers wait for a place under the global cap.
    waiting: AtomicUsize,
}

/// A connection on loan. Goes back when dropped.
pub struct PooledConnection {
    /// Present until dropped.
    connection: Option<ClientConnection>,
    entry: Arc<Entry>,
    databases: ClientDatabases,
    place: Option<OwnedSemaphorePermit>,
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
            in_all: Arc::new(Semaphore::new(settings.in_all)),
            waiting: AtomicUsize::new(0),
        });
        Self { inner }
    }

    /// The same settings with pools of its own, to try an address before it is an instance's.
    #[must_use]
    pub fn apart(&self) -> Self {
        let inner = &self.inner;
        Self::with_migrations(
            inner.outbound.clone(),
            inner.settings,
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
        let turn = timeout_at(until, Arc::clone(&entry.turns).acquire_owned())
            .await
            .map_err(|_| ClientDbError::Busy)?
            .map_err(|_| ClientDbError::Busy)?;
        if let Some(idle) = entry.take_idle() {
            return Ok(self.lend(entry, idle.connection, idle.place, turn));
        }
        // Taken before the place under the cap, so that a dead database's callers queue nowhere.
        let attempt = entry.breaker.attempt()?;
        let place = self.place(until).await?;
        let Inner {
            outbound,
            tasks,
            schemas,
            ..
        } = &*self.inner;
        // Boxed, since it is large and every caller's future would hold it, and rare.
        let opened = Box::pin(entry.open(outbound, settings, tasks, schemas)).await;
        attempt.report(opened.as_ref().err());
        Ok(self.lend(entry, opened?, place, turn))
    }

    /// What is known of a client's database; `None` when nobody has asked for it lately.
    #[must_use]
    pub fn state(&self, instance: InstanceId) -> Option<DatabaseState> {
        self.lock().get(&instance).and_then(|entry| entry.state())
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
        self.inner.settings.in_all - self.inner.in_all.available_permits()
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
        let entry = Arc::new(Entry::new(target, &self.inner.settings));
        entries.insert(target.instance, Arc::clone(&entry));
        entry
    }

    /// A place under the global cap; taken from whoever has rested longest when there is none.
    async fn place(&self, until: Instant) -> Result<OwnedSemaphorePermit, ClientDbError> {
        let in_all = &self.inner.in_all;
        if let Ok(place) = Arc::clone(in_all).try_acquire_owned() {
            return Ok(place);
        }
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
        self.inner.waiting.fetch_add(1, Ordering::Relaxed);
        let _no_longer = CountDown(&self.inner.waiting);
        timeout_at(until, Arc::clone(in_all).acquire_owned())
            .await
            .map_err(|_| ClientDbError::Busy)?
            .map_err(|_| ClientDbError::Busy)
    }

    fn lend(
        &self,
        entry: Arc<Entry>,
        connection: ClientConnection,
        place: OwnedSemaphorePermit,
        turn: OwnedSemaphorePermit,
    ) -> PooledConnection {
        PooledConnection {
            connection: Some(connection),
            entry,
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

/// Counts down when it goes, however the wait ended.
struct CountDown<'a>(&'a AtomicUsize);

impl Drop for CountDown<'_> {
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
        // Somebody waiting for a place under the cap comes before a connection's next use.
        let wanted_elsewhere = self.databases.inner.waiting.load(Ordering::Relaxed) > 0;
        if connection.is_fit() && !wanted_elsewhere {
            self.entry.put_back(Idle {
                connection,
                place,
                since: Instant::now(),
            });
        }
    }
}
