//! The schema at a new connection: brought up to date where it can be, used as it is where it is
//! one version behind, refused where it is older.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use stoa_domain::InstanceId;
use tokio::{
    sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard, mpsc},
    time::Instant,
};

use super::{ClientDatabases, Target, gate::Place};
use crate::{
    address::DatabaseAddress,
    connection::ClientConnection,
    error::ClientDbError,
    marker::{self, Marker},
    migrate::{self, Migrations, Order, Patience, SchemaChange, SchemaTrouble, Standing},
};

/// How long a database that could not be brought up to date is left at first; doubled by each
/// failure that follows.
const FIRST_REST: Duration = Duration::from_secs(5);
/// How long at most.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// How much news may wait for its reader. What does not fit is dropped: the sweep comes by it.
const NEWS: usize = 1_024;

/// What was learned of a database's schema when somebody first used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaNews {
    /// Whose.
    pub instance: InstanceId,
    /// At which address.
    pub generation: i64,
    /// The version that is there now, or why it could not be brought up to date.
    pub outcome: Result<i32, SchemaTrouble>,
}

/// What all pools share: what to bring databases to, and whom to tell.
pub(super) struct Schemas {
    pub(super) migrations: Migrations,
    news: mpsc::Sender<SchemaNews>,
    reader: Mutex<Option<mpsc::Receiver<SchemaNews>>>,
}

impl Schemas {
    pub(super) fn new(migrations: Migrations) -> Self {
        let (news, reader) = mpsc::channel(NEWS);
        Self {
            migrations,
            news,
            reader: Mutex::new(Some(reader)),
        }
    }

    fn tell(&self, of: Of<'_>, outcome: Result<i32, SchemaTrouble>) {
        let news = SchemaNews {
            instance: of.instance,
            generation: of.generation,
            outcome,
        };
        // Nobody reads in a command, and a full queue is not worth waiting for.
        drop(self.news.try_send(news));
    }
}

/// Whose schema it is.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) instance: InstanceId,
    pub(super) generation: i64,
    pub(super) address: &'a DatabaseAddress,
    /// How long an ordinary statement may take.
    pub(super) statement: Duration,
    /// Whether the database must carry its instance's marker.
    pub(super) marker_required: bool,
}

impl<'a> Of<'a> {
    fn order(self, migrations: &'a Migrations, patience: Patience) -> Order<'a> {
        Order {
            instance: self.instance,
            marker_required: self.marker_required,
            migrations,
            patience,
            usual_deadline: self.statement,
        }
    }
}

/// One client's schema, as this process knows it.
#[derive(Default)]
pub(super) struct Schema {
    /// Held while migrating, so that a client's first visitors do it once.
    working: AsyncMutex<()>,
    /// Where pgvector is there but closed to the client's role, it is tried once and not at every
    /// new connection.
    vectors_tried: AtomicBool,
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
    /// The code of the last failure.
    last: &'static str,
}

/// What is to be done about a schema.
enum Need<'a> {
    /// It is used as it is.
    Nothing,
    /// It is brought up to date by the holder of this.
    Work(AsyncMutexGuard<'a, ()>),
}

impl Schema {
    /// Brings the schema up to date if that is due, and says what the marker is then. A failure is
    /// none where the schema can be used as it is; the connection may then have been lost. `begun` is
    /// called before the work.
    pub(super) async fn prepare(
        &self,
        connection: &mut ClientConnection,
        found: Option<Marker>,
        of: Of<'_>,
        schemas: &Schemas,
        begun: impl FnOnce(),
    ) -> Result<Option<Marker>, ClientDbError> {
        let Need::Work(_one_at_a_time) = self.need(found.as_ref(), schemas).await? else {
            return Ok(found);
        };
        // Another visitor may have done it while this one waited.
        let found = marker::read(connection).await?;
        if !self.wants(found.as_ref(), schemas) {
            return Ok(found);
        }
        let standing = standing(found.as_ref(), schemas);
        let patience = match standing {
            Standing::Current | Standing::OneBehind => Patience::VISITOR,
            Standing::TooOld | Standing::TooNew => Patience::ALONE,
        };
        begun();
        let order = of.order(&schemas.migrations, patience);
        let done = migrate::migrate(connection, order).await;
        self.vectors_tried.store(true, Ordering::Relaxed);
        match done {
            Ok(change) => {
                self.rested();
                schemas.tell(of, Ok(change.to));
                marker::read(connection).await
            }
            // Only vectors were wanted, and search does without.
            Err(error) if standing == Standing::Current && is_about_now(&error) => Ok(found),
            Err(error) => {
                self.failed(&error);
                schemas.tell(of, Err(SchemaTrouble::of(&error, of.address)));
                if standing == Standing::OneBehind && is_about_now(&error) {
                    return Ok(found);
                }
                Err(error)
            }
        }
    }

    async fn need(
        &self,
        found: Option<&Marker>,
        schemas: &Schemas,
    ) -> Result<Need<'_>, ClientDbError> {
        let version = found.map(|it| it.schema_version);
        if !self.wants(found, schemas) {
            return match (standing(found, schemas), version) {
                (Standing::TooNew, Some(version)) => Err(ClientDbError::SchemaTooNew {
                    version,
                    newest: schemas.migrations.newest_usable(),
                }),
                _ => Ok(Need::Nothing),
            };
        }
        let usable = standing(found, schemas) != Standing::TooOld;
        if let Some((retry_in, last)) = self.resting() {
            return match usable {
                true => Ok(Need::Nothing),
                false => Err(ClientDbError::SchemaTooOld {
                    version: version.unwrap_or(0),
                    retry_in,
                    last,
                }),
            };
        }
        if usable {
            // Who can be served meanwhile does not wait.
            return Ok(self.working.try_lock().map_or(Need::Nothing, Need::Work));
        }
        Ok(Need::Work(self.working.lock().await))
    }

    fn wants(&self, found: Option<&Marker>, schemas: &Schemas) -> bool {
        match standing(found, schemas) {
            Standing::OneBehind | Standing::TooOld => true,
            Standing::TooNew => false,
            Standing::Current => {
                found.is_some_and(|it| it.vectors_wait)
                    && !self.vectors_tried.load(Ordering::Relaxed)
            }
        }
    }

    fn resting(&self) -> Option<(Duration, &'static str)> {
        let rest = self.rest();
        let left = rest.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some((left, rest.last))
    }

    fn failed(&self, error: &ClientDbError) {
        let mut rest = self.rest();
        let doublings = rest.failures.min(16);
        let pause = FIRST_REST
            .saturating_mul(2_u32.pow(doublings))
            .min(LONGEST_REST);
        rest.failures = rest.failures.saturating_add(1);
        rest.until = Some(Instant::now() + pause);
        rest.last = error.code();
    }

    fn rested(&self) {
        *self.rest() = Rest::default();
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(found: Option<&Marker>, schemas: &Schemas) -> Standing {
    let version = found.map(|it| it.schema_version);
    schemas.migrations.standing(version)
}

/// Whether the failure says that the migration cannot be applied now, rather than that the schema
/// is not what its version says.
fn is_about_now(error: &ClientDbError) -> bool {
    !matches!(
        error,
        ClientDbError::ForeignMigration { .. }
            | ClientDbError::SchemaTooNew { .. }
            | ClientDbError::Mismatch
    )
}

impl ClientDatabases {
    /// What client databases are brought to.
    #[must_use]
    pub fn migrations(&self) -> &Migrations {
        &self.inner.schemas.migrations
    }

    /// What is learned of schemas at first use, for the one who keeps account of it; `None` when
    /// it was asked for before.
    #[must_use]
    pub fn schema_news(&self) -> Option<mpsc::Receiver<SchemaNews>> {
        let mut reader = self.inner.schemas.reader.lock();
        reader.as_mut().unwrap_or_else(|it| it.get_mut()).take()
    }

    /// Brings a client's database up to date now, on a connection of its own beside the client's
    /// pool: whoever talks to the client is not kept waiting by it.
    ///
    /// # Errors
    ///
    /// `Busy` when this process has no connection to spare, else what went wrong.
    pub async fn migrate(&self, target: &Target) -> Result<SchemaChange, ClientDbError> {
        let settings = &self.inner.settings;
        let (_place, mut connection) = self.apart_from_pool(target).await?;
        let instance = target.instance;
        let found = marker::read(&connection).await?;
        if settings.marker_required && found.is_some_and(|it| it.instance != instance) {
            return Err(ClientDbError::Mismatch);
        }
        let of = Of {
            instance,
            generation: target.generation,
            address: &target.address,
            statement: settings.deadlines.statement,
            marker_required: settings.marker_required,
        };
        let order = of.order(&self.inner.schemas.migrations, Patience::ALONE);
        let done = migrate::migrate(&mut connection, order).await?;
        let entry = self.lock().get(&instance).cloned();
        if let Some(entry) = entry {
            entry.schema.rested();
        }
        Ok(done)
    }

    /// The schema version that a client's database is at; 0 where there is no schema yet. Changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::migrate`].
    pub async fn schema_version(&self, target: &Target) -> Result<i32, ClientDbError> {
        let (_place, connection) = self.apart_from_pool(target).await?;
        match marker::read(&connection).await? {
            None => Ok(0),
            Some(found)
                if self.inner.settings.marker_required && found.instance != target.instance =>
            {
                Err(ClientDbError::Mismatch)
            }
            Some(found) => Ok(found.schema_version),
        }
    }

    async fn apart_from_pool(
        &self,
        target: &Target,
    ) -> Result<(Place, ClientConnection), ClientDbError> {
        let settings = &self.inner.settings;
        let until = Instant::now() + settings.acquire;
        let place = self.place(target.instance, until).await?;
        let (outbound, tasks) = (&self.inner.outbound, &self.inner.tasks);
        let opened =
            ClientConnection::open(outbound, &target.address, settings.deadlines, tasks).await?;
        Ok((place, opened))
    }
}
