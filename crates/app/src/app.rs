//! The one concrete state of the program: everything that a use case may need, made once.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use secrecy::SecretString;
use stoa_ai::Ai;
use stoa_client_db::{ClientDatabases, ClientDbError, PooledConnection};
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{Clock, InstanceId, Random};
use stoa_outbound::Outbound;
use stoa_platform_db::{DbError, PlatformDb, instances};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::Activity;
use crate::budgets::BudgetNews;
use crate::chat::live::LiveAnswers;
use crate::contents::Contents;
use crate::database::DatabaseError;
use crate::export::Exports;
use crate::known::KnownInstances;
use crate::looks::Remembered;
use crate::meter::Meter;
use crate::metrics::Metrics;
use crate::moving;
use crate::parts::{Parts, Settings};
use crate::passwords::{PasswordError, Passwords};
use crate::registry::{Registered, RegistryError};
use crate::sign_in::backoff::Backoff;
use crate::turns::{Place, Turns};

/// What nobody asked for in this time is dropped from the caches: an idle client costs nothing.
const CACHE_IDLE: Duration = Duration::from_secs(300);
/// A cached entry is read anew after this time even if the signal of its change was lost.
const CACHE_LIFE: Duration = Duration::from_secs(60);
const CACHED_INSTANCES: u64 = 20_000;

/// The program's state. Use cases borrow it.
pub struct App {
    parts: Parts,
    passwords: Passwords,
    backoff: Backoff,
    meter: Meter,
    metrics: Metrics,
    budget_news: BudgetNews,
    activity: Activity,
    live_answers: Arc<LiveAnswers>,
    instances: KnownInstances,
    contents: Cache<InstanceId, Arc<Contents>>,
    remembered: Remembered,
    turns: Turns,
    exports: Exports,
    work: Notify,
}

impl App {
    /// Puts the parts together and starts what runs beside requests: metering and signals.
    ///
    /// # Errors
    /// When Argon2 refuses its parameters.
    pub fn new(parts: Parts) -> Result<Arc<Self>, PasswordError> {
        let passwords = Passwords::new(parts.random.clone())?;
        let meter = Meter::start(parts.platform.clone(), parts.clock.clone());
        Ok(Arc::new(Self {
            passwords,
            backoff: Backoff::default(),
            meter,
            metrics: Metrics::default(),
            budget_news: BudgetNews::default(),
            activity: Activity::default(),
            live_answers: Arc::default(),
            instances: KnownInstances::new(cache()),
            contents: cache(),
            remembered: Remembered::default(),
            turns: Turns::default(),
            exports: Exports::default(),
            work: Notify::new(),
            parts,
        }))
    }

    /// What the program was started with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The platform's database.
    #[must_use]
    pub const fn platform(&self) -> &PlatformDb {
        &self.parts.platform
    }

    /// The platform database's address.
    pub(crate) const fn platform_url(&self) -> &SecretString {
        &self.parts.platform_url
    }

    /// The clients' databases.
    #[must_use]
    pub const fn clients(&self) -> &ClientDatabases {
        &self.parts.clients
    }

    /// The operator's master keys.
    #[must_use]
    pub const fn keys(&self) -> &MasterKeyRing {
        &self.parts.keys
    }

    /// The door to addresses that clients chose.
    #[must_use]
    pub const fn outbound(&self) -> &Outbound {
        &self.parts.outbound
    }

    /// The AI providers.
    #[must_use]
    pub const fn ai(&self) -> &Ai {
        &self.parts.ai
    }

    /// Time.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// Randomness.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.parts.random
    }

    /// A new id of a kind: `app.new_id(MessageId::generate)`.
    pub fn new_id<T>(&self, generate: impl FnOnce(&Clock, &Random) -> T) -> T {
        generate(self.clock(), self.random())
    }

    /// Every task of the program; shutdown waits for them.
    #[must_use]
    pub const fn tasks(&self) -> &TaskTracker {
        &self.parts.tasks
    }

    /// Cancelled when the process is to end.
    #[must_use]
    pub const fn shutdown(&self) -> &CancellationToken {
        &self.parts.shutdown
    }

    /// Password hashing and checking.
    #[must_use]
    pub const fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// The exports under way in this process.
    pub(crate) const fn exports(&self) -> &Exports {
        &self.exports
    }

    /// Who has failed to sign in of late.
    pub(crate) const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// Where answers are counted.
    #[must_use]
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What is counted for the operator's monitoring.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What happened to budgets in this process.
    pub(crate) const fn budget_news(&self) -> &BudgetNews {
        &self.budget_news
    }

    /// How chats looked when their settings were last read.
    pub(crate) const fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// The answers being written in this process.
    #[must_use]
    pub const fn live_answers(&self) -> &Arc<LiveAnswers> {
        &self.live_answers
    }

    /// Says that there may be background work.
    pub(crate) fn wake_workers(&self) {
        self.work.notify_waiters();
    }

    /// Resolves when there may be background work.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.work.notified()
    }

    /// Notes on the platform's side that an instance is talked to, at most once a minute.
    ///
    /// # Errors
    /// When the platform's database fails.
    pub(crate) async fn note_activity(&self, instance: InstanceId) -> Result<(), DbError> {
        if self.activity.is_due(instance) {
            let mut connection = self.parts.platform.acquire().await?;
            instances::touch_active(&mut connection, instance, self.clock().now()).await?;
            self.activity.written(instance);
        }
        Ok(())
    }

    /// An instance as registered, or `None` when there is none with this id. Cached.
    ///
    /// # Errors
    /// When the platform's database fails, or the instance's key does not open.
    pub async fn registered(
        &self,
        id: InstanceId,
    ) -> Result<Option<Arc<Registered>>, RegistryError> {
        if let Some(known) = self.instances.get(id).await {
            return Ok(Some(known));
        }
        let Some(loaded) = Registered::load(self, id).await? else {
            return Ok(None);
        };
        let loaded = Arc::new(loaded);
        self.instances.insert(Arc::clone(&loaded)).await;
        Ok(Some(loaded))
    }

    /// A connection to an instance's database, at the address that it has now: `registered` may be
    /// as old as the answer that holds it. Waits while a move switches.
    ///
    /// # Errors
    /// When none is set, or it fails.
    pub async fn checkout(
        &self,
        registered: &Registered,
    ) -> Result<PooledConnection, DatabaseError> {
        match self.lent(registered).await {
            // It has just moved, and this process had not heard of it.
            Err(DatabaseError::Failed(ClientDbError::Moved)) => {
                Box::pin(moving::follow(self, registered.id())).await?;
                self.lent(registered).await
            }
            lent => lent,
        }
    }

    /// Does one thing in an instance's database, and once more where that has just moved while it
    /// was done: then nothing of it was.
    ///
    /// # Errors
    /// As [`Self::checkout`], or when it fails.
    pub(crate) async fn in_database<T, F>(
        &self,
        registered: &Registered,
        work: impl Fn(PooledConnection) -> F,
    ) -> Result<T, DatabaseError>
    where
        F: Future<Output = Result<T, ClientDbError>>,
    {
        match work(self.checkout(registered).await?).await {
            Err(ClientDbError::Moved) => Ok(work(self.checkout(registered).await?).await?),
            outcome => Ok(outcome?),
        }
    }

    async fn lent(&self, registered: &Registered) -> Result<PooledConnection, DatabaseError> {
        let current = moving::waited(self, registered).await?;
        let registered = current.as_deref().unwrap_or(registered);
        let target = registered.target().ok_or(DatabaseError::Unset)?;
        Ok(self.parts.clients.checkout(target).await?)
    }

    /// What an instance's database says about how it answers. Cached.
    ///
    /// # Errors
    /// When that database cannot be read.
    pub async fn contents(&self, registered: &Registered) -> Result<Arc<Contents>, DatabaseError> {
        if let Some(known) = self.contents.get(&registered.id()).await {
            return Ok(known);
        }
        let current = self.current(registered).await?;
        let registered = current.as_deref().unwrap_or(registered);
        let connection = self.checkout(registered).await?;
        let loaded = Contents::load(&connection, registered.id(), registered.key()).await?;
        let loaded = Arc::new(loaded);
        self.remembered
            .keep(registered.id(), &loaded.live, loaded.live_version)
            .await;
        self.contents
            .insert(registered.id(), Arc::clone(&loaded))
            .await;
        Ok(loaded)
    }

    /// An instance as it is registered now. While the platform's database cannot say, that is what
    /// the caller holds, unless it is known to have changed: an answer under way outlives an outage
    /// of the platform, and never goes to a place that its instance has left.
    pub(crate) async fn current(
        &self,
        held: &Registered,
    ) -> Result<Option<Arc<Registered>>, DatabaseError> {
        match self.registered(held.id()).await {
            Ok(Some(current)) => Ok(Some(current)),
            Ok(None) => Err(DatabaseError::Unset),
            Err(RegistryError::Platform(error)) if !self.instances.has_changed(held.id()) => {
                tracing::warn!(instance = %held.id(), %error, "an instance is taken to be as it was");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A place for one more answer of an instance, or `None` when all are taken.
    pub(crate) fn take_turn(&self, instance: InstanceId) -> Option<Place> {
        self.turns.take(instance)
    }

    /// Forgets what is cached of an instance's registry row and settings.
    pub(crate) async fn forget_instance(&self, instance: InstanceId) {
        self.instances.forget(instance).await;
        self.contents.invalidate(&instance).await;
    }

    /// Has an instance's registry row read anew; its settings stay as they are.
    pub(crate) async fn read_anew(&self, instance: InstanceId) {
        self.instances.forget(instance).await;
    }

    /// Closes an instance's connections where they lead to an address that it has left: here nobody
    /// may ask for it for a long time, and its old place is not ours to stay in.
    pub(crate) async fn leave_old_address(&self, instance: InstanceId) {
        let Some(generation) = self.parts.clients.generation(instance) else {
            return;
        };
        match self.registered(instance).await {
            Ok(Some(now)) if now.target().is_some_and(|it| it.generation <= generation) => {}
            Ok(_) => self.parts.clients.forget(instance),
            Err(error) => {
                tracing::warn!(%instance, %error, "it is not known whether an instance has moved");
            }
        }
    }

    /// Forgets what is cached of an instance's settings.
    pub(crate) async fn forget_contents(&self, instance: InstanceId) {
        self.contents.invalidate(&instance).await;
    }

    /// Forgets everything cached.
    pub(crate) fn forget_all(&self) {
        self.instances.forget_all();
        self.contents.invalidate_all();
    }
}

fn cache<T: Clone + Send + Sync + 'static>() -> Cache<InstanceId, T> {
    Cache::builder()
        .max_capacity(CACHED_INSTANCES)
        .time_to_idle(CACHE_IDLE)
        .time_to_live(CACHE_LIFE)
        .build()
}
