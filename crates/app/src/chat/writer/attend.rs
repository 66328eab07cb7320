//! What the writer of an answer minds while it waits for anything else: whether the answer is
//! stopped, whether anybody is still there, and that what has arrived is saved.

use std::pin::pin;
use std::time::Duration;

use stoa_domain::FinishReason;
use tokio::time::{Interval, MissedTickBehavior};

use super::keeping::Saver;
use super::{Ended, GRACE, Writer};
use crate::chat::event::{Failure, Source};
use crate::chat::replay;

/// How often what has arrived is saved.
const SAVE_EVERY: Duration = Duration::from_millis(1_500);
/// How long an answer takes at most, with all its calls of tools and all waiting for the visitor.
const LONGEST_TURN: Duration = Duration::from_secs(600);

/// Why nobody waits any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The visitor stopped it, or left for good.
    Cancelled,
    /// The process ends.
    Restarting,
    /// It has taken too long.
    TooLong,
}

impl From<Cut> for Ended {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Cancelled => Self::because(FinishReason::Cancelled),
            Cut::Restarting => Self::failed(FinishReason::Interrupted, replay::restarting()),
            Cut::TooLong => Self::failed(FinishReason::Interrupted, took_too_long()),
        }
    }
}

fn took_too_long() -> Failure {
    Failure {
        code: "ai_timeout",
        text: "The answer took too long. Please try again.".into(),
        retryable: true,
        wait: None,
    }
}

/// Minds it.
pub(super) struct Attendance<'a> {
    writer: &'a Writer,
    tick: Interval,
    saver: Saver<'a>,
}

impl<'a> Attendance<'a> {
    /// Must be called in a task.
    pub(super) fn new(writer: &'a Writer, sources: &[Source]) -> Self {
        let mut tick = tokio::time::interval(SAVE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        Self {
            writer,
            tick,
            saver: Saver::new(writer, sources),
        }
    }

    /// Waits until `work` is done.
    ///
    /// # Errors
    /// Why it is dropped half-way.
    pub(super) async fn until<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Cut> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                // The work comes last: it may always have something, the others seldom do.
                biased;
                () = self.writer.live.stopped() => return Err(Cut::Cancelled),
                () = self.writer.app.shutdown().cancelled() => return Err(Cut::Restarting),
                _ = self.tick.tick() => {
                    if self.writer.live.deserted_for() >= GRACE {
                        return Err(Cut::Cancelled);
                    }
                    if self.writer.started.elapsed() >= LONGEST_TURN {
                        return Err(Cut::TooLong);
                    }
                    self.saver.begin();
                }
                () = self.saver.saved() => {}
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Saves what has arrived now, for those who follow the row, and does not wait for it.
    pub(super) fn save_now(&mut self) {
        self.saver.begin_anew();
    }

    /// Saves what has arrived, and waits until that is done; whether it is.
    ///
    /// # Errors
    /// Why nobody waits for it any longer.
    pub(super) async fn save(&mut self) -> Result<bool, Cut> {
        self.saver.begin_anew();
        while self.saver.is_running() {
            tokio::select! {
                biased;
                () = self.writer.live.stopped() => return Err(Cut::Cancelled),
                () = self.writer.app.shutdown().cancelled() => return Err(Cut::Restarting),
                () = self.saver.saved() => {}
            }
        }
        Ok(self.saver.went_well())
    }
}
