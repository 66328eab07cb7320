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
    /// The code of the last failure.
    last: Option<&'static str>,
    /// What the last attempt showed; nothing before the first has come to its end.
    state: Option<DatabaseState>,
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
            let last = inner.last.unwrap_or("database_unavailable");
            return Err(ClientDbError::Resting { retry_in, last });
        }
        inner.probing = true;
        Ok(Attempt {
            breaker: self,
            is_probe: true,
        })
    }

    /// What the attempts so far say about the database.
    pub(super) fn state(&self) -> Option<DatabaseState> {
        self.lock().state
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// Says how it went.
    pub(super) fn report(self, error: Option<&ClientDbError>) {
        let mut inner = self.breaker.lock();
        let Some(error) = error else {
            let probing = inner.probing;
            *inner = Inner {
                probing,
                state: Some(DatabaseState::Ready),
                ..Inner::default()
            };
            return;
        };
        inner.failures = inner.failures.saturating_add(1);
        inner.last = Some(error.code());
        inner.state = Some(match error {
            ClientDbError::Mismatch => DatabaseState::Mismatch,
            _ => DatabaseState::Unreachable,
        });
        if inner.failures >= FAILURES {
            let doublings = (inner.failures - FAILURES).min(4);
            let rest = (FIRST_REST * 2_u32.pow(doublings)).min(LONGEST_REST);
            inner.open_until = Some(Instant::now() + rest);
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
