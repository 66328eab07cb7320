//! A circuit breaker: after a few failures in a row a database is left alone, then probed gently.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use stoa_domain::DatabaseState;
use tokio::time::Instant;

use crate::error::ClientDbError;

/// After how many failures in a row the breaker opens.
const FAILURES: u32 = 3;
/// How long it stays open at first; doubled by each failed probe.
const FIRST_REST: Duration = Duration::from_secs(2);
/// How long it stays open at most.
const LONGEST_REST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    last: Option<(&'static str, DatabaseState)>,
    open_until: Option<Instant>,
    probing: bool,
}

/// Leave to try. Reports by being dropped when the caller gives up: nothing was learnt then.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// Leave to open a connection; an error at once while the database is left alone, and for
    /// everybody but one while it is probed.
    pub(super) fn attempt(&self) -> Result<Attempt<'_>, ClientDbError> {
        let mut inner = self.lock();
        let Some(until) = inner.open_until else {
            return Ok(Attempt {
                breaker: self,
                is_probe: false,
            });
        };
        let retry_in = until.saturating_duration_since(Instant::now());
        if inner.probing || !retry_in.is_zero() {
            let last = inner.last.map_or("database_unavailable", |(code, _)| code);
            return Err(ClientDbError::Resting { retry_in, last });
        }
        inner.probing = true;
        Ok(Attempt {
            breaker: self,
            is_probe: true,
        })
    }

    /// What the attempts so far say about the database.
    pub(super) fn state(&self) -> DatabaseState {
        self.lock()
            .last
            .map_or(DatabaseState::Ready, |(_, state)| state)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Says how it went. Errors that are not the database's fault count as an answer.
    pub(super) fn report(self, error: Option<&ClientDbError>) {
        let mut inner = self.breaker.lock();
        match error.filter(|it| it.is_outage()) {
            None => {
                *inner = Inner {
                    probing: inner.probing,
                    ..Inner::default()
                }
            }
            Some(error) => {
                inner.failures = inner.failures.saturating_add(1);
                inner.last = Some((error.code(), state_after(error)));
                if inner.failures >= FAILURES {
                    let doublings = (inner.failures - FAILURES).min(4);
                    let rest = (FIRST_REST * 2_u32.pow(doublings)).min(LONGEST_REST);
                    inner.open_until = Some(Instant::now() + rest);
                }
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.lock().probing = false;
        }
    }
}

fn state_after(error: &ClientDbError) -> DatabaseState {
    match error {
        ClientDbError::Mismatch => DatabaseState::Mismatch,
        _ => DatabaseState::Unreachable,
    }
}
