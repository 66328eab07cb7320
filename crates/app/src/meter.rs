//! Counting answers on the platform's side: ids and numbers, no content. What they spent of their
//! budgets is counted with them.
//!
//! Many answers end at once under load, so those that end within a few milliseconds are written together
//! in one statement; each still waits for its own commit, and one that ends alone waits for nothing else.
//! The write is idempotent by instance, message and kind.

use std::time::Duration;

use chrono::{DateTime, Utc};
use stoa_domain::{Clock, InstanceId, MessageId};
use stoa_platform_db::usage_events::{self, Spent, UsageEvent, UsageKind};
use stoa_platform_db::{DbError, PlatformDb};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

/// How many answers are written in one statement.
const TOGETHER: usize = 500;
/// How long after the beginning of one write the next begins at the earliest. A statement for one answer
/// takes PostgreSQL half as long as one for ten.
const PACE: Duration = Duration::from_millis(4);
/// How many may wait before those who want to count wait themselves.
const WAITING: usize = 4_096;

/// One answer to be counted.
#[derive(Clone, Debug)]
pub struct Metered {
    /// Whose answer.
    pub instance: InstanceId,
    /// Its id, which makes counting it twice impossible.
    pub message: MessageId,
    /// What it was.
    pub kind: UsageKind,
    /// The model that answered; empty when none did.
    pub model: String,
    /// Tokens read, if the provider said.
    pub input_tokens: Option<i64>,
    /// Tokens written, if the provider said.
    pub output_tokens: Option<i64>,
    /// What it cost in millionths of the currency of prices, if price and tokens are known.
    pub cost_micros: Option<i64>,
    /// What budgets count for it.
    pub spent: Spent,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// Why an answer was not counted.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// The platform's database failed.
    #[error("usage could not be written: {0}")]
    Failed(String),
    /// The writer has ended, as it does at shutdown.
    #[error("usage is not written any more: the process is ending")]
    Ended,
}

type Waiting = (Metered, oneshot::Sender<Result<(), String>>);

/// Where answers are handed in to be counted.
pub struct Meter(mpsc::Sender<Waiting>);

impl Meter {
    /// Starts the writer; it ends when the meter is dropped and all is written.
    #[must_use]
    pub fn start(platform: PlatformDb, clock: Clock) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        // A tracker of its own: this task ends with the meter, which outlives the tracked tasks.
        // Shutdown needs not wait for it, since whoever counts waits for the commit.
        TaskTracker::new().spawn(write(platform, clock, receiver));
        Self(sender)
    }

    /// Counts an answer; returns when it is committed.
    ///
    /// # Errors
    /// When it could not be written now.
    pub async fn count(&self, metered: Metered) -> Result<(), MeterError> {
        let (done, result) = oneshot::channel();
        self.0
            .send((metered, done))
            .await
            .map_err(|_| MeterError::Ended)?;
        result
            .await
            .map_err(|_| MeterError::Ended)?
            .map_err(MeterError::Failed)
    }
}

async fn write(platform: PlatformDb, clock: Clock, mut receiver: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    let mut next_write = Instant::now();
    while receiver.recv_many(&mut waiting, TOGETHER).await > 0 {
        sleep_until(next_write).await;
        while waiting.len() < TOGETHER
            && let Ok(more) = receiver.try_recv()
        {
            waiting.push(more);
        }
        next_write = Instant::now() + PACE;
        let events: Vec<UsageEvent> = waiting.iter().map(|(metered, _)| event(metered)).collect();
        let written = insert(&platform, &clock, &events)
            .await
            .map_err(|error| error.to_string());
        for (_, done) in waiting.drain(..) {
            // Whoever no longer waits has no use for the answer.
            let _ = done.send(written.clone());
        }
    }
}

/// Counts answers that a sweep found uncounted.
///
/// # Errors
/// When the platform's database fails.
pub async fn insert(
    platform: &PlatformDb,
    clock: &Clock,
    events: &[UsageEvent],
) -> Result<(), DbError> {
    let mut connection = platform.acquire().await?;
    usage_events::record(&mut connection, events, clock.now()).await?;
    Ok(())
}

/// The row that counts an answer.
#[must_use]
pub fn event(metered: &Metered) -> UsageEvent {
    UsageEvent {
        instance: metered.instance,
        message: metered.message,
        kind: metered.kind,
        occurred_at: metered.at,
        model: metered.model.clone(),
        input_tokens: metered.input_tokens,
        output_tokens: metered.output_tokens,
        cost_micros: metered.cost_micros,
        spent: metered.spent,
    }
}
