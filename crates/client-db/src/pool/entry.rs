//! One client's pool.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use stoa_domain::{DatabaseState, InstanceId};
use stoa_outbound::Outbound;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{PoolSettings, Target, breaker::Breaker};
use crate::{
    address::DatabaseAddress,
    connection::ClientConnection,
    error::ClientDbError,
    marker::{self, Marker},
    migrate::{self, SCHEMA_VERSION},
};

/// A connection at rest.
pub(super) struct Idle {
    pub(super) connection: ClientConnection,
    /// Its place under the global cap.
    pub(super) place: OwnedSemaphorePermit,
    pub(super) since: Instant,
}

/// One client's pool, at one address.
pub(super) struct Entry {
    instance: InstanceId,
    pub(super) generation: i64,
    address: Arc<DatabaseAddress>,
    /// One permit for each connection that this client may have in use.
    pub(super) turns: Arc<Semaphore>,
    per_client: usize,
    pub(super) breaker: Breaker,
    idle: Mutex<VecDeque<Idle>>,
    closed: AtomicBool,
    /// Held while migrating, so that a client's first visitors do it once.
    migrating: AsyncMutex<()>,
    is_migrating: AtomicBool,
    /// Where pgvector is there but closed to the client's role, it is tried once and not at every
    /// new connection.
    vectors_tried: AtomicBool,
    touched: Mutex<Instant>,
}

impl Entry {
    pub(super) fn new(target: &Target, settings: &PoolSettings) -> Self {
        Self {
            instance: target.instance,
            generation: target.generation,
            address: Arc::clone(&target.address),
            turns: Arc::new(Semaphore::new(settings.per_client)),
            per_client: settings.per_client,
            breaker: Breaker::default(),
            idle: Mutex::new(VecDeque::new()),
            closed: AtomicBool::new(false),
            migrating: AsyncMutex::new(()),
            is_migrating: AtomicBool::new(false),
            vectors_tried: AtomicBool::new(false),
            touched: Mutex::new(Instant::now()),
        }
    }

    /// Opens a connection, proves whose database it is and brings it up to date.
    pub(super) async fn open(
        &self,
        outbound: &Outbound,
        settings: &PoolSettings,
        tasks: &TaskTracker,
    ) -> Result<ClientConnection, ClientDbError> {
        let deadlines = settings.deadlines;
        let mut connection =
            ClientConnection::open(outbound, &self.address, deadlines, tasks).await?;
        let mut marker = marker::read(&connection).await?;
        if self.needs_migration(marker.as_ref(), settings)? {
            let _one_at_a_time = self.migrating.lock().await;
            marker = marker::read(&connection).await?;
            if self.needs_migration(marker.as_ref(), settings)? {
                self.is_migrating.store(true, Ordering::Relaxed);
                let done = migrate::migrate(
                    &mut connection,
                    self.instance,
                    deadlines.statement,
                    settings.marker_required,
                )
                .await;
                self.is_migrating.store(false, Ordering::Relaxed);
                self.vectors_tried.store(true, Ordering::Relaxed);
                done?;
                marker = marker::read(&connection).await?;
            }
        }
        let marker = marker.ok_or(ClientDbError::Unreadable {
            what: "stoa_instance",
        })?;
        self.prove(&marker, settings)?;
        connection.set_has_vectors(marker.has_vectors);
        connection.set_schema_version(marker.schema_version);
        if !self.address.names_a_pooler() {
            connection.set_process(marker.process);
        }
        Ok(connection)
    }

    fn needs_migration(
        &self,
        marker: Option<&Marker>,
        settings: &PoolSettings,
    ) -> Result<bool, ClientDbError> {
        let Some(marker) = marker else {
            return Ok(true);
        };
        self.prove(marker, settings)?;
        let vectors_wait = marker.vectors_wait && !self.vectors_tried.load(Ordering::Relaxed);
        Ok(marker.schema_version < SCHEMA_VERSION || vectors_wait)
    }

    fn prove(&self, marker: &Marker, settings: &PoolSettings) -> Result<(), ClientDbError> {
        if settings.marker_required && marker.instance != self.instance {
            return Err(ClientDbError::Mismatch);
        }
        Ok(())
    }

    pub(super) fn state(&self) -> Option<DatabaseState> {
        if self.is_migrating.load(Ordering::Relaxed) {
            return Some(DatabaseState::Migrating);
        }
        self.breaker.state()
    }

    /// The connection that was used last: the others come to rest.
    pub(super) fn take_idle(&self) -> Option<Idle> {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut idle = self.lock();
        while let Some(last) = idle.pop_back() {
            if last.connection.is_fit() {
                return Some(last);
            }
        }
        None
    }

    pub(super) fn put_back(&self, connection: Idle) {
        let mut idle = self.lock();
        // Checked under the lock: `close` empties the list under it.
        if !self.closed.load(Ordering::Relaxed) {
            idle.push_back(connection);
        }
    }

    pub(super) fn close(&self) {
        let mut idle = self.lock();
        self.closed.store(true, Ordering::Relaxed);
        idle.clear();
    }

    pub(super) fn resting_since(&self) -> Option<Instant> {
        self.lock().front().map(|it| it.since)
    }

    pub(super) fn take_longest_resting(&self) -> Option<Idle> {
        self.lock().pop_front()
    }

    /// The connections that have rested for `rested`, to be dropped outside the lock.
    pub(super) fn take_rested(&self, rested: Duration) -> Vec<Idle> {
        let mut idle = self.lock();
        let now = Instant::now();
        let count = idle
            .iter()
            .take_while(|it| now.duration_since(it.since) >= rested || !it.connection.is_fit())
            .count();
        idle.drain(..count).collect()
    }

    /// Whether nothing is open, nobody asked for `rested`, and nothing worth knowing is known.
    pub(super) fn is_forgettable(&self, rested: Duration) -> bool {
        let touched = *self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock().is_empty()
            && self.turns.available_permits() == self.per_client
            && touched.elapsed() >= rested
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
