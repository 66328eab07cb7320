//! Background work: takes jobs from the queue and does them, a few at a time, one per client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use stoa_domain::InstanceId;
use stoa_platform_db::DbError;
use stoa_platform_db::jobs::{self, Claim, Job};
use tokio::sync::Semaphore;

use crate::App;
use crate::documents::indexing;
use crate::instances::{delete, reclaim};
use crate::moving;

/// Work of a kind has places of its own, so that what takes hours keeps nothing short waiting.
const LANES: [Lane; 2] = [
    Lane {
        kinds: &[indexing::KIND, delete::KIND, reclaim::KIND],
        at_once: 2,
    },
    Lane {
        kinds: &[moving::KIND],
        at_once: 4,
    },
];
/// How long a job is held without a heartbeat, and how often the heart beats.
pub(crate) const LEASE: TimeDelta = TimeDelta::seconds(60);
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How often the queue is looked at when nobody says that there is work.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Kinds of jobs that share places.
#[derive(Clone, Copy)]
struct Lane {
    kinds: &'static [&'static str],
    /// How many of them one process does at once.
    at_once: usize,
}

/// How a job ended when it did not end well.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Trying again may help. The text is for the operator and holds no content.
    #[error("{0}")]
    Retry(String),
    /// Trying again would change nothing.
    #[error("{0}")]
    Hopeless(String),
}

/// Starts the workers, until shutdown.
pub fn start(app: &Arc<App>) {
    for lane in LANES {
        app.tasks().spawn(look_for_work(Arc::clone(app), lane));
    }
}

/// Does what is due, and returns when nothing is: for tests and commands, which do not wait.
///
/// # Errors
/// When the queue cannot be read.
pub async fn run_due(app: &Arc<App>) -> Result<usize, DbError> {
    let mut done = 0;
    loop {
        let kinds = LANES.map(|lane| lane.kinds).concat();
        let jobs = claim(app, &kinds, &[]).await?;
        let Some(job) = jobs.into_iter().next() else {
            return Ok(done);
        };
        carry_out(app, &job).await;
        done += 1;
    }
}

/// Carries moves on for as long as somebody waits for one, for a command beside a server or without
/// one: whoever is first does the work.
///
/// # Errors
/// When the queue cannot be read.
pub async fn run_due_moves(app: &Arc<App>) -> Result<(), DbError> {
    loop {
        match claim(app, &[moving::KIND], &[]).await?.into_iter().next() {
            Some(job) => carry_out(app, &job).await,
            None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn look_for_work(app: Arc<App>, lane: Lane) {
    let places = Arc::new(Semaphore::new(lane.at_once));
    let busy = Arc::new(Busy::default());
    while !app.shutdown().is_cancelled() {
        let woken = app.woken();
        tokio::pin!(woken);
        // Enabled before looking, so that what is said while looking is not missed.
        woken.as_mut().enable();
        let took = take(&app, lane, &places, &busy)
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "the queue cannot be read");
                false
            });
        if took {
            continue;
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.shutdown().cancelled() => {}
        }
    }
}

/// Takes one job if there is a place and a job; true when it is worth looking again at once.
async fn take(
    app: &Arc<App>,
    lane: Lane,
    places: &Arc<Semaphore>,
    busy: &Arc<Busy>,
) -> Result<bool, DbError> {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        return Ok(false);
    };
    let jobs = claim(app, lane.kinds, &busy.list()).await?;
    let Some(job) = jobs.into_iter().next() else {
        return Ok(false);
    };
    let share = busy.enter(job.instance);
    let worker = Arc::clone(app);
    app.tasks().spawn(async move {
        carry_out(&worker, &job).await;
        drop((place, share));
        worker.wake_workers();
    });
    Ok(true)
}

async fn claim(app: &App, kinds: &[&str], busy: &[InstanceId]) -> Result<Vec<Job>, DbError> {
    let claim = Claim {
        kinds,
        worker: "stoa",
        lease: LEASE,
        limit: 1,
        busy,
    };
    let mut connection = app.platform().acquire().await?;
    jobs::claim(&mut connection, &claim, app.clock().now()).await
}

/// Does a job under a beating heart and notes how it ended.
async fn carry_out(app: &Arc<App>, job: &Job) {
    let outcome = tokio::select! {
        outcome = perform(app, job) => outcome,
        () = keep_alive(app, job) => {
            tracing::warn!(job = %job.id, "another worker has taken this job over");
            return;
        }
        () = app.shutdown().cancelled() => Err(JobError::Retry("the process was ending".into())),
    };
    if let Err(error) = note(app, job, outcome).await {
        // The lease runs out and somebody does the job again; its effects are idempotent.
        tracing::error!(job = %job.id, %error, "how a job ended could not be noted");
    }
}

async fn perform(app: &Arc<App>, job: &Job) -> Result<(), JobError> {
    match job.kind.as_str() {
        indexing::KIND => indexing::perform(app, job).await,
        delete::KIND => delete::perform(app, job).await,
        reclaim::KIND => reclaim::perform(app, job).await,
        moving::KIND => Box::pin(moving::perform(app, job)).await,
        other => Err(JobError::Hopeless(format!(
            "this version does not know jobs of the kind {other}"
        ))),
    }
}

/// Returns when the job is lost.
async fn keep_alive(app: &App, job: &Job) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Ok(mut connection) = app.platform().acquire().await else {
            continue;
        };
        match jobs::heartbeat(&mut connection, job.held, LEASE, app.clock().now()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(job = %job.id, %error, "a job's lease was not prolonged"),
        }
    }
}

async fn note(app: &App, job: &Job, outcome: Result<(), JobError>) -> Result<(), DbError> {
    let mut connection = app.platform().acquire().await?;
    let now = app.clock().now();
    match outcome {
        Ok(()) => {
            jobs::complete(&mut connection, job.held, now).await?;
        }
        Err(error) => {
            tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempt, %error, "a job failed");
            let rest = jobs::backoff(job.attempt, app.random().fraction());
            let retry_at = match error {
                JobError::Retry(_) => Some(now + TimeDelta::from_std(rest).unwrap_or_default()),
                JobError::Hopeless(_) => None,
            };
            jobs::fail(&mut connection, job.held, &error.to_string(), retry_at, now).await?;
        }
    }
    Ok(())
}

/// The clients whose jobs are being done: one at a time each, so that a client with a thousand
/// documents does not keep the others waiting.
#[derive(Default)]
struct Busy(Mutex<Vec<InstanceId>>);

impl Busy {
    fn list(&self) -> Vec<InstanceId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn enter(self: &Arc<Self>, instance: Option<InstanceId>) -> Share {
        if let Some(instance) = instance {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(instance);
        }
        Share {
            busy: Arc::clone(self),
            instance,
        }
    }
}

struct Share {
    busy: Arc<Busy>,
    instance: Option<InstanceId>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut busy = self.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = busy.iter().position(|id| Some(*id) == self.instance) {
            busy.swap_remove(place);
        }
    }
}
