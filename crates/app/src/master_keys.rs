//! The master keys: which of them hold something, and putting everything under the newest one while
//! servers serve.

use chrono::{DateTime, Utc};
use serde_json::json;
use stoa_domain::InstanceId;
use stoa_domain::seal::{MasterKeyRing, SealError};
use stoa_platform_db::master_keys::{self, AnswerKey, KeyUse, Replacement, WrappedKey};
use stoa_platform_db::{DbError, PlatformDb};

use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};
use crate::platform_idempotency;

/// How many values are opened, sealed and written at once.
const BATCH: i64 = 100;

/// A master key, configured or not, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterKey {
    /// Its id; empty for stored values that name none.
    pub id: String,
    /// Whether this program has it.
    pub is_configured: bool,
    /// Whether it is the one that seals.
    pub is_newest: bool,
    /// How many data keys of instances it wraps.
    pub data_keys: i64,
    /// How many answers kept for `Idempotency-Key` it seals.
    pub answers: i64,
    /// When the last of those is forgotten.
    pub answers_until: Option<DateTime<Utc>>,
}

impl MasterKey {
    /// Whether anything needs it.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.data_keys > 0 || self.answers > 0
    }
}

/// What a rotation did.
pub struct Rotation {
    /// The key that everything was to be put under.
    pub newest: String,
    /// How many data keys are wrapped by it now that were not before.
    pub data_keys: u64,
    /// How many kept answers are sealed by it now that were not before.
    pub answers: u64,
    /// Instances whose data key did not open, and why: it is left as it is.
    pub unopened: Vec<(InstanceId, SealError)>,
    /// Every master key, as it is used now.
    pub keys: Vec<MasterKey>,
}

impl Rotation {
    /// Whether the newest key holds everything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.keys.iter().any(|key| !key.is_newest && key.is_used())
    }
}

/// Every master key that is configured or holds something, the configured ones first, the newest
/// before all.
///
/// # Errors
/// When the platform's database fails.
pub async fn list(app: &App, _caller: &PlatformCaller) -> Result<Vec<MasterKey>, DbError> {
    in_use(app.platform(), app.keys(), app.clock().now()).await
}

/// The same for whoever has the keys and the database and nothing else yet.
///
/// # Errors
/// When the platform's database fails.
pub async fn in_use(
    platform: &PlatformDb,
    ring: &MasterKeyRing,
    now: DateTime<Utc>,
) -> Result<Vec<MasterKey>, DbError> {
    let mut connection = platform.acquire().await?;
    let mut used = master_keys::in_use(&mut connection, now).await?;
    let mut keys: Vec<MasterKey> = ring
        .ids()
        .map(|id| {
            let found = used.iter().position(|it| it.id == id);
            let held = found.map(|at| used.swap_remove(at));
            let held = held.unwrap_or_else(|| KeyUse {
                id: id.to_owned(),
                data_keys: 0,
                answers: 0,
                answers_until: None,
            });
            shown(held, ring, true)
        })
        .collect();
    used.sort_by(|one, other| one.id.cmp(&other.id));
    keys.extend(used.into_iter().map(|held| shown(held, ring, false)));
    Ok(keys)
}

fn shown(held: KeyUse, ring: &MasterKeyRing, is_configured: bool) -> MasterKey {
    MasterKey {
        is_newest: held.id == ring.newest_id(),
        is_configured,
        id: held.id,
        data_keys: held.data_keys,
        answers: held.answers,
        answers_until: held.answers_until,
    }
}

/// Puts every data key and every kept answer under the newest master key, a batch at a time. Each
/// value is exchanged only for the one that was read, so this may run twice at once, beside servers,
/// and again after it was killed. `progress` is told how many of how many are done.
///
/// The sealed secrets themselves are sealed by data keys and stay as they are.
///
/// # Errors
/// When the platform's database fails; what was done is kept.
pub async fn rotate(
    app: &App,
    caller: &PlatformCaller,
    progress: impl FnMut(u64, u64) + Send,
) -> Result<Rotation, DbError> {
    let before = list(app, caller).await?;
    let stale = || before.iter().filter(|key| !key.is_newest);
    let total: i64 = stale().map(|key| key.data_keys + key.answers).sum();
    let newest = app.keys().newest_id().to_owned();
    if total > 0 {
        let from: Vec<&str> = stale()
            .filter(|key| key.is_used())
            .map(|key| key.id.as_str())
            .collect();
        note(
            app,
            caller,
            "master_key.rotation_started",
            &newest,
            json!({ "from": from }),
        )
        .await?;
    }
    let mut work = Work {
        app,
        newest: &newest,
        progress,
        done: 0,
        total: u64::try_from(total).unwrap_or_default(),
    };
    let (data_keys, unopened) = work.rewrap_data_keys().await?;
    let answers = work.reseal_answers().await?;
    if total > 0 {
        let counts =
            json!({ "data_keys": data_keys, "answers": answers, "unopened": unopened.len() });
        note(app, caller, "master_key.rotated", &newest, counts).await?;
    }
    Ok(Rotation {
        keys: list(app, caller).await?,
        newest,
        data_keys,
        answers,
        unopened,
    })
}

struct Work<'a, Progress> {
    app: &'a App,
    newest: &'a str,
    progress: Progress,
    done: u64,
    total: u64,
}

impl<Progress: FnMut(u64, u64)> Work<'_, Progress> {
    /// Those that were wrapped, and those that could not be opened.
    async fn rewrap_data_keys(&mut self) -> Result<(u64, Vec<(InstanceId, SealError)>), DbError> {
        let (mut rewrapped, mut unopened, mut last) = (0, Vec::new(), None);
        loop {
            let mut connection = self.app.platform().acquire().await?;
            let found = master_keys::data_keys_of_others(&mut connection, self.newest, last, BATCH);
            let found = found.await?;
            let Some(newest_seen) = found.last() else {
                return Ok((rewrapped, unopened));
            };
            last = Some(newest_seen.instance);
            self.step(found.len());
            let mut replacements = Vec::new();
            for WrappedKey { instance, wrapped } in found {
                match self.rewrap(instance, &wrapped) {
                    Ok(new) => replacements.push(Replacement {
                        row: instance,
                        old: wrapped,
                        new,
                    }),
                    Err(error) => {
                        tracing::error!(%instance, %error, "an instance's data key does not open");
                        unopened.push((instance, error));
                    }
                }
            }
            rewrapped +=
                master_keys::rewrap_data_keys(&mut connection, &replacements, self.newest).await?;
        }
    }

    async fn reseal_answers(&mut self) -> Result<u64, DbError> {
        let now = self.app.clock().now();
        let (mut resealed, mut last) = (0, None::<AnswerKey>);
        loop {
            let mut connection = self.app.platform().acquire().await?;
            let after = last.as_ref();
            let found =
                master_keys::answers_of_others(&mut connection, self.newest, now, after, BATCH)
                    .await?;
            let Some((newest_seen, _)) = found.last() else {
                return Ok(resealed);
            };
            last = Some(newest_seen.clone());
            self.step(found.len());
            let mut replacements = Vec::new();
            for (row, old) in found {
                match platform_idempotency::reseal(self.app, &row, &old) {
                    Ok(new) => replacements.push(Replacement { row, old, new }),
                    // It is forgotten within a day, and until then whoever asks for it is told.
                    Err(error) => tracing::warn!(%error, "a kept answer does not open"),
                }
            }
            resealed += master_keys::reseal_answers(&mut connection, &replacements).await?;
        }
    }

    fn rewrap(&self, instance: InstanceId, wrapped: &[u8]) -> Result<Vec<u8>, SealError> {
        let ring = self.app.keys();
        let key = ring.unwrap(instance, wrapped)?;
        ring.wrap(instance, &key, self.app.random())
    }

    fn step(&mut self, more: usize) {
        self.done += u64::try_from(more).unwrap_or_default();
        // What was made meanwhile is done too.
        self.total = self.total.max(self.done);
        (self.progress)(self.done, self.total);
    }
}

async fn note(
    app: &App,
    caller: &PlatformCaller,
    action: &'static str,
    newest: &str,
    details: serde_json::Value,
) -> Result<(), DbError> {
    let mut transaction = app.platform().begin().await?;
    let deed = Deed {
        action,
        target_kind: "master_key",
        target_id: newest.to_owned(),
        instance: None,
        reason: None,
        details,
    };
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await?;
    Ok(())
}
