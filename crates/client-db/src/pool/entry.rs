//! One client's pool.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use stoa_domain::InstanceId;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    Inner, PoolSettings, Target,
    breaker::{Breaker, Seen},
    gate::Place,
    news::NewsBox,
    schema::{Of, Schema},
};
use crate::{
    address::DatabaseAddress,
    connection::ClientConnection,
    error::ClientDbError,
    marker::{self, Marker},
    wire::Deadlines,
};

/// A connection at rest.
pub(super) struct Idle {
    pub(super) connection: ClientConnection,
    /// Its place under the global cap.
    pub(super) place: Place,
    pub(super) since: Instant,
}

/// One client's pool, at one address.
pub(super) struct Entry {
    pub(super) instance: InstanceId,
    pub(super) generation: i64,
    address: Arc<DatabaseAddress>,
    /// One permit for each connection that this client may have in use.
    pub(super) turns: Arc<Semaphore>,
    per_client: usize,
    pub(super) breaker: Arc<Breaker>,
    idle: Mutex<VecDeque<Idle>>,
    closed: AtomicBool,
    /// Whether the database said that it was moved away from: nobody is sent there any more.
    moved: AtomicBool,
    pub(super) schema: Schema,
    pub(super) migrations: AtomicU64,
    touched: Mutex<Instant>,
    /// When a sign-in last went well.
    signed_in: Mutex<Instant>,
    /// Whether somebody is looking at the database.
    looking: AtomicBool,
    /// How many callers wait for a connection.
    pub(super) waiting: AtomicUsize,
    /// Who is told what is new of the database.
    pub(super) news: Arc<NewsBox>,
}

impl Entry {
    pub(super) fn new(target: &Target, settings: &PoolSettings, news: Arc<NewsBox>) -> Self {
        let breaker = Breaker::new(target.instance, Arc::clone(&target.address));
        Self {
            instance: target.instance,
            generation: target.generation,
            address: Arc::clone(&target.address),
            turns: Arc::new(Semaphore::new(settings.per_client)),
            per_client: settings.per_client,
            breaker: Arc::new(breaker),
            idle: Mutex::new(VecDeque::new()),
            closed: AtomicBool::new(false),
            moved: AtomicBool::new(false),
            schema: Schema::default(),
            migrations: AtomicU64::new(0),
            touched: Mutex::new(Instant::now()),
            signed_in: Mutex::new(Instant::now()),
            looking: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            news,
        }
    }

    /// Opens a connection, proves whose database it is and brings it up to date; the breaker hears
    /// how it went, unless the caller leaves.
    pub(super) async fn open(
        &self,
        inner: &Inner,
        deadlines: Deadlines,
    ) -> Result<ClientConnection, ClientDbError> {
        let opened = self.try_to_open(inner, deadlines).await;
        match &opened {
            Ok(_) => self.note_opened(),
            Err(error) => self.breaker.failed(error, Seen::Opening),
        }
        opened
    }

    /// Notes that a sign-in and all that belongs to it went well.
    pub(super) fn note_opened(&self) {
        self.put_off_proof();
        self.breaker.opened();
    }

    /// The same, without telling the breaker.
    pub(super) async fn try_to_open(
        &self,
        inner: &Inner,
        deadlines: Deadlines,
    ) -> Result<ClientConnection, ClientDbError> {
        let settings = &inner.settings;
        let open =
            || ClientConnection::open(&inner.outbound, &self.address, deadlines, &inner.tasks);
        let mut connection = open().await?;
        let found = marker::read(&connection).await?;
        match &found {
            Some(found) => self.prove(found, settings)?,
            None if settings.sets_up => {}
            // What was there and is gone was taken away: nothing is put in its place.
            None => return Err(ClientDbError::Vanished),
        }
        let of = Of {
            instance: self.instance,
            generation: self.generation,
            address: &self.address,
            statement: deadlines.statement,
            marker_required: settings.marker_required,
        };
        let begun = || {
            self.migrations.fetch_add(1, Ordering::Relaxed);
            self.breaker.set_migrating();
            self.take_note();
        };
        let marker = self
            .schema
            .prepare(&mut connection, found, of, &inner.schemas, begun)
            .await?
            .ok_or(ClientDbError::Unreadable {
                what: "stoa_instance",
            })?;
        self.prove(&marker, settings)?;
        if !connection.is_fit() {
            // A migration ran on it, or was given up on with it.
            connection = open().await?;
        }
        connection.set_has_vectors(marker.has_vectors);
        connection.set_schema_version(marker.schema_version);
        if !self.address.names_a_pooler() {
            connection.set_process(marker.process);
        }
        connection.set_statement_deadline(settings.deadlines.statement);
        connection.watch_with(Arc::clone(&self.breaker));
        Ok(connection)
    }

    fn prove(&self, marker: &Marker, settings: &PoolSettings) -> Result<(), ClientDbError> {
        if settings.marker_required && marker.instance != self.instance {
            return Err(ClientDbError::Mismatch);
        }
        Ok(())
    }

    /// Notes that somebody asks for this database.
    pub(super) fn touch(&self) {
        *lock(&self.touched) = Instant::now();
    }

    /// For how long nobody has asked for this database.
    pub(super) fn untouched_for(&self) -> Duration {
        lock(&self.touched).elapsed()
    }

    /// Has the sign-in proved again only after the usual time.
    pub(super) fn put_off_proof(&self) {
        *lock(&self.signed_in) = Instant::now();
    }

    /// How long ago a sign-in last went well.
    pub(super) fn unproved_for(&self) -> Duration {
        lock(&self.signed_in).elapsed()
    }

    /// True for the one who is to look at the database; nobody else does until [`Self::has_looked`].
    pub(super) fn begin_to_look(&self) -> bool {
        !self.is_closed() && !self.looking.swap(true, Ordering::Relaxed)
    }

    pub(super) fn has_looked(&self) {
        self.looking.store(false, Ordering::Relaxed);
    }

    /// The connection that was used last: the others come to rest.
    pub(super) fn take_idle(&self) -> Option<Idle> {
        let mut idle = lock(&self.idle);
        while let Some(last) = idle.pop_back() {
            if last.connection.is_fit() {
                return Some(last);
            }
        }
        None
    }

    pub(super) fn put_back(&self, connection: Idle) {
        let mut idle = lock(&self.idle);
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
        let closed = {
            let mut idle = lock(&self.idle);
            self.closed.store(true, Ordering::Relaxed);
            std::mem::take(&mut *idle)
        };
        drop(closed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Closes what rests.
    pub(super) fn close_resting(&self) {
        let closed = std::mem::take(&mut *lock(&self.idle));
        drop(closed);
    }

    /// How many connections are in use, and how many rest.
    pub(super) fn connections(&self) -> (usize, usize) {
        let in_use = self.per_client - self.turns.available_permits();
        (in_use, lock(&self.idle).len())
    }

    /// Whether one more connection than its permits would be too many.
    pub(super) fn is_over_its_share(&self) -> bool {
        let (in_use, resting) = self.connections();
        in_use + resting > self.per_client
    }

    pub(super) fn resting_since(&self) -> Option<Instant> {
        lock(&self.idle).front().map(|it| it.since)
    }

    pub(super) fn take_longest_resting(&self) -> Option<Idle> {
        lock(&self.idle).pop_front()
    }

    /// The connections that have rested for `rested`, to be dropped outside the lock.
    pub(super) fn take_rested(&self, rested: Duration) -> Vec<Idle> {
        let mut idle = lock(&self.idle);
        let now = Instant::now();
        let count = idle
            .iter()
            .take_while(|it| now.duration_since(it.since) >= rested || !it.connection.is_fit())
            .count();
        idle.drain(..count).collect()
    }

    /// Whether nothing is open and nobody asked for `rested`.
    pub(super) fn is_forgettable(&self, rested: Duration) -> bool {
        self.connections() == (0, 0) && self.untouched_for() >= rested
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
