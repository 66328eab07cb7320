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
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{
    PoolSettings, Target,
    breaker::Breaker,
    schema::{Of, Schema, Schemas},
};
use crate::{
    address::DatabaseAddress,
    connection::ClientConnection,
    error::ClientDbError,
    marker::{self, Marker},
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
    /// Whether the database said that it was moved away from: nobody is sent there any more.
    moved: AtomicBool,
    pub(super) schema: Schema,
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
            moved: AtomicBool::new(false),
            schema: Schema::default(),
            touched: Mutex::new(Instant::now()),
        }
    }

    /// Opens a connection, proves whose database it is and brings it up to date.
    pub(super) async fn open(
        &self,
        outbound: &Outbound,
        settings: &PoolSettings,
        tasks: &TaskTracker,
        schemas: &Schemas,
    ) -> Result<ClientConnection, ClientDbError> {
        let deadlines = settings.deadlines;
        let open = || ClientConnection::open(outbound, &self.address, deadlines, tasks);
        let mut connection = open().await?;
        let found = marker::read(&connection).await?;
        if let Some(found) = &found {
            self.prove(found, settings)?;
        }
        let of = Of {
            instance: self.instance,
            generation: self.generation,
            address: &self.address,
            statement: deadlines.statement,
            marker_required: settings.marker_required,
        };
        let marker = self
            .schema
            .prepare(&mut connection, found, of, schemas)
            .await?
            .ok_or(ClientDbError::Unreadable {
                what: "stoa_instance",
            })?;
        self.prove(&marker, settings)?;
        if !connection.is_fit() {
            // A migration was given up on with the connection; the schema is used as it was.
            connection = open().await?;
        }
        connection.set_has_vectors(marker.has_vectors);
        connection.set_schema_version(marker.schema_version);
        if !self.address.names_a_pooler() {
            connection.set_process(marker.process);
        }
        Ok(connection)
    }

    fn prove(&self, marker: &Marker, settings: &PoolSettings) -> Result<(), ClientDbError> {
        if settings.marker_required && marker.instance != self.instance {
            return Err(ClientDbError::Mismatch);
        }
        Ok(())
    }

    pub(super) fn state(&self) -> Option<DatabaseState> {
        if self.schema.is_migrating() {
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

    pub(super) fn set_moved(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_moved(&self) -> bool {
        self.moved.load(Ordering::Relaxed)
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
