//! Background work: a queue in a table, taken with `SKIP LOCKED` under a lease.
//!
//! Work is enqueued in the transaction that makes it necessary. A worker holds a job by its fencing
//! token: when its lease is over another may take the job, and whatever the first still says of it
//! is refused. So a job may run more than once, and its effects must be idempotent.

mod backoff;
mod claim;
mod enqueue;
mod outcome;

use chrono::{DateTime, TimeDelta, Utc};
use stoa_domain::{InstanceId, JobId};

pub use backoff::backoff;
pub use claim::claim;
pub use enqueue::enqueue;
pub use outcome::{
    QueueDepth, cancel_for_instance, complete, fail, heartbeat, list_dead, purge_finished,
    queue_depth, retry_dead,
};

/// Work to be done.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Which handler does it.
    pub kind: String,
    /// For whom.
    pub instance: Option<InstanceId>,
    /// While a job of this kind with this key waits or runs, another is not added. A change that
    /// must not be lost while an earlier one runs puts its own version into the key.
    pub unique_key: String,
    /// What the handler needs to find its way: ids, no content.
    pub payload: serde_json::Value,
    /// Not before.
    pub run_at: DateTime<Utc>,
    /// The higher, the sooner.
    pub priority: i16,
    /// After so many failures it is dead.
    pub max_attempts: i32,
    /// The time.
    pub created_at: DateTime<Utc>,
}

/// What a worker is ready to take.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The kinds it knows how to do.
    pub kinds: &'a [&'a str],
    /// Who it is, to show.
    pub worker: &'a str,
    /// For how long it holds a job without a heartbeat.
    pub lease: TimeDelta,
    /// At most so many.
    pub limit: i64,
    /// Clients that have their share of workers already; their jobs are left for later.
    pub busy: &'a [InstanceId],
}

/// A job that a worker holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Which handler does it.
    pub kind: String,
    /// For whom.
    pub instance: Option<InstanceId>,
    /// What the handler needs.
    pub payload: serde_json::Value,
    /// The how-manieth attempt this is, from 1.
    pub attempt: i32,
    /// After so many failures it is dead.
    pub max_attempts: i32,
    /// Proof of holding it.
    pub held: Held,
}

/// Proof of holding a job: its number grows with every claim, so an older one is known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The job.
    pub id: JobId,
    /// The number of the claim.
    pub fencing_token: i64,
}

/// What became of a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It will be tried again.
    Retrying,
    /// It has failed too often, and waits for somebody to look at it.
    Dead,
    /// The worker had lost it already.
    Lost,
}

/// A job that failed for good.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadJob {
    /// Its id.
    pub id: JobId,
    /// Which handler did not do it.
    pub kind: String,
    /// For whom.
    pub instance: Option<InstanceId>,
    /// What the handler was given.
    pub payload: serde_json::Value,
    /// How often it was tried.
    pub attempts: i32,
    /// How it failed last.
    pub last_error: Option<String>,
    /// Since when it is dead.
    pub finished_at: Option<DateTime<Utc>>,
}
