//! One attempt to carry a move out: copied, caught up, compared, and the old database closed.

use std::time::Duration;

use chrono::TimeDelta;
use stoa_client_db::PooledConnection;
use stoa_client_db::moving::{self, Check, MovingError, Plan, Progress, Ticket};
use stoa_platform_db::DbError;
use stoa_platform_db::jobs::{self, Job};
use stoa_platform_db::moves::{self, Move, MovePhase};
use tokio::time::{sleep, timeout};

use super::work::{Broken, advance};
use crate::App;
use crate::work::{JobError, LEASE};

/// A round with fewer changes leaves little for the moment in which nobody may write.
const FEW: u64 = 1_000;
/// After so many rounds it is tried all the same: more comes as fast as it is brought over.
const ROUNDS: u32 = 10;
/// How long the pause is. It must be over before those who wait give up.
const PAUSE: TimeDelta = TimeDelta::seconds(10);
/// How long the last round may take of it.
const LAST_ROUND: Duration = Duration::from_secs(8);
/// Between the pause and the lock: those who have a connection come to their end.
const DRAIN: Duration = Duration::from_millis(300);
/// Where comparing everything takes less, it is done in the pause too.
const QUICKLY: Duration = Duration::from_millis(700);
/// How often locking is tried, and how long visitors are left alone in between.
const LOCK_TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_secs(3);
/// How often the copy is begun anew in one attempt.
const COPIES: u32 = 3;

/// One attempt to carry a move out.
pub(super) struct Run<'a> {
    pub(super) app: &'a App,
    pub(super) found: &'a Move,
    pub(super) plan: Plan,
    pub(super) ticket: Ticket,
    pub(super) progress: Progress,
}

impl Run<'_> {
    /// Copies, catches up and compares, until little is left to bring over. Says how much is to be
    /// compared in the last round.
    pub(super) async fn to_the_brink(
        &self,
        source: &mut PooledConnection,
        destination: &mut PooledConnection,
    ) -> Result<Check, Broken> {
        let (plan, ticket) = (&self.plan, self.ticket);
        let mut copied = moving::open_arrival(destination, plan, ticket).await?;
        self.capture(source).await?;
        for copies in 1.. {
            if !copied {
                advance(self.app, self.found, MovePhase::Copying).await?;
                moving::copy_everything(source, destination, plan, ticket, &self.progress).await?;
            }
            advance(self.app, self.found, MovePhase::CatchingUp).await?;
            match self.catch_up(source, destination).await {
                Err(Broken::Moving(error)) if error.asks_for_a_new_copy() && copies < COPIES => {
                    tracing::warn!(id = %self.found.id, %error, "a move begins to copy anew");
                    copied = false;
                }
                outcome => return outcome,
            }
        }
        Ok(Check::Whole)
    }

    async fn capture(&self, source: &mut PooledConnection) -> Result<(), Broken> {
        let mut tries = 1;
        loop {
            self.progress.go_on()?;
            let captured = moving::capture(source, &self.plan, self.found.id).await;
            match captured {
                // lock_not_available: a long transaction of somebody else's.
                Err(error) if error.sqlstate() == Some("55P03") && tries < LOCK_TRIES => {
                    tries += 1;
                    sleep(BETWEEN_TRIES).await;
                }
                captured => return Ok(captured.map_err(MovingError::Source)?),
            }
        }
    }

    async fn catch_up(
        &self,
        source: &mut PooledConnection,
        destination: &mut PooledConnection,
    ) -> Result<Check, Broken> {
        let (plan, ticket, progress) = (&self.plan, self.ticket, &self.progress);
        for _ in 0..ROUNDS {
            let check = Check::Changed;
            let round = moving::catch_up(source, destination, plan, ticket, check, progress);
            if round.await?.changes < FEW {
                break;
            }
        }
        let check = Check::Whole;
        let round = moving::catch_up(source, destination, plan, ticket, check, progress).await?;
        if round.compared_in < QUICKLY {
            return Ok(Check::Whole);
        }
        // Comparing took its time, in which more has changed.
        moving::catch_up(source, destination, plan, ticket, Check::Changed, progress).await?;
        Ok(Check::Changed)
    }

    /// The pause, the lock, the last round, and the closing of the database that is left.
    pub(super) async fn leave(
        &self,
        job: &Job,
        source: &mut PooledConnection,
        destination: &mut PooledConnection,
        check: Check,
    ) -> Result<(), Broken> {
        for tries in 1.. {
            self.require_held(job).await?;
            advance(self.app, self.found, MovePhase::Switching).await?;
            self.pause(true).await?;
            sleep(DRAIN).await;
            let last = moving::depart(
                source,
                destination,
                &self.plan,
                self.ticket,
                check,
                &self.progress,
            );
            let outcome = timeout(LAST_ROUND, last).await;
            match outcome {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(MovingError::InUse)) if tries < LOCK_TRIES => {
                    self.pause(false).await?;
                    advance(self.app, self.found, MovePhase::CatchingUp).await?;
                    sleep(BETWEEN_TRIES).await;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    let why = "the last round took longer than visitors are kept waiting";
                    return Err(Broken::Job(JobError::Retry(why.into())));
                }
            }
        }
        Ok(())
    }

    async fn pause(&self, paused: bool) -> Result<(), DbError> {
        let until = paused.then(|| self.app.clock().now() + PAUSE);
        let mut connection = self.app.platform().acquire().await?;
        moves::pause(&mut connection, self.found.instance, until).await?;
        drop(connection);
        self.app.read_anew(self.found.instance).await;
        Ok(())
    }

    /// Another worker may have taken over while this one was kept from running.
    async fn require_held(&self, job: &Job) -> Result<(), Broken> {
        let now = self.app.clock().now();
        let mut connection = self.app.platform().acquire().await?;
        if jobs::heartbeat(&mut connection, job.held, LEASE, now).await? {
            return Ok(());
        }
        Err(MovingError::Superseded.into())
    }
}
