//! A circuit breaker: what connections and statements of one database have shown of late, and
//! whether it is left alone.
//!
//! It opens after a few failures in a row, or at once where the database says no. From then on
//! visitors are answered at once, and the pool looks by itself whether the database is back
//! (`watch`): often in the first minute, then every few seconds.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use stoa_domain::{DatabaseState, InstanceId};
use tokio::{sync::Notify, time::Instant};

use crate::{address::DatabaseAddress, error::ClientDbError, wire::Deadlines};

/// After how many failures in a row the breaker opens.
const FAILURES: u32 = 3;
/// How long a failure that is not the third is left uncertain.
const DOUBT: Duration = Duration::from_millis(300);
/// The first rest of an outage, and the longest in its first minute and after that.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST_AT_FIRST: Duration = Duration::from_millis(1_500);
const LONGEST_REST: Duration = Duration::from_secs(7);
const AT_FIRST: Duration = Duration::from_secs(60);
/// How long one look may take in the first minute: one that hangs would hide that the database is
/// back. Later looks are patient, so that a slow database is not taken for a dead one for ever.
const QUICK_LOOK: Duration = Duration::from_secs(2);

/// Who has seen a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Whoever opened a connection.
    Opening,
    /// Whoever ran a statement on an open one.
    Statement,
}

/// What is wrong with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The code of the last failure.
    pub code: &'static str,
    /// What it says of the database.
    pub state: DatabaseState,
}

/// See the module.
pub(crate) struct Breaker {
    address: Arc<DatabaseAddress>,
    /// Differs between clients, so that those on one server do not knock at the same time.
    spread: f64,
    /// Whether nothing has failed since the last success, so that a success has nothing to say.
    is_clean: AtomicBool,
    has_news: AtomicBool,
    /// Told when a look has come to its end.
    looked: Notify,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// In a row.
    failures: u32,
    /// When the present row of failures began.
    since: Option<Instant>,
    fault: Option<(Fault, Seen)>,
    /// What is known; nothing before the first attempt has come to its end.
    state: Option<DatabaseState>,
    open: Option<Open>,
    /// Failures by code, ever since the pool was opened.
    counted: BTreeMap<&'static str, u64>,
}

/// The database is left alone.
#[derive(Clone, Copy)]
struct Open {
    until: Instant,
    rest: Duration,
}

impl Breaker {
    pub(super) fn new(instance: InstanceId, address: Arc<DatabaseAddress>) -> Self {
        let last = instance.as_uuid().as_bytes()[15];
        Self {
            address,
            spread: 0.85 + 0.3 * f64::from(last) / 255.0,
            is_clean: AtomicBool::new(false),
            has_news: AtomicBool::new(false),
            looked: Notify::new(),
            inner: Mutex::default(),
        }
    }

    /// The answer to give at once while the database is left alone.
    pub(super) fn refusal(&self) -> Option<ClientDbError> {
        if self.is_clean.load(Ordering::Relaxed) {
            return None;
        }
        let inner = self.lock();
        let open = inner.open?;
        Some(ClientDbError::Resting {
            retry_in: open.until.saturating_duration_since(Instant::now()),
            last: inner
                .fault
                .map_or("database_unavailable", |(it, _)| it.code),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_clean.load(Ordering::Relaxed) && self.lock().open.is_some()
    }

    /// Whether something has failed since the last success.
    pub(super) fn is_in_doubt(&self) -> bool {
        !self.is_clean.load(Ordering::Relaxed) && self.lock().failures > 0
    }

    /// How long to wait before the next look; nothing while all is well.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let inner = self.lock();
        match inner.open {
            Some(open) => Some(open.until.saturating_duration_since(Instant::now())),
            None if inner.failures > 0 => Some(DOUBT),
            None => None,
        }
    }

    /// How long the next look may take.
    pub(super) fn look_deadlines(&self, usual: Deadlines) -> Deadlines {
        let is_new = {
            let inner = self.lock();
            inner.open.is_some() && inner.since.is_some_and(|it| it.elapsed() < AT_FIRST)
        };
        if !is_new {
            return usual;
        }
        Deadlines {
            connect: usual.connect.min(QUICK_LOOK),
            statement: usual.statement.min(QUICK_LOOK),
        }
    }

    /// A connection was opened and proved to be what it should be.
    pub(super) fn opened(&self) {
        let mut inner = self.lock();
        // A database that signs in well and whose statements fail is on probation: the next
        // failure opens again.
        let on_probation = matches!(inner.fault, Some((_, Seen::Statement)));
        inner.open = None;
        if on_probation {
            inner.failures = inner.failures.min(FAILURES - 1);
        } else {
            inner.recover();
        }
        self.became(&mut inner, DatabaseState::Ready);
        self.is_clean.store(!on_probation, Ordering::Relaxed);
    }

    /// A statement was answered, be it with an error of the request's own.
    pub(crate) fn statement_worked(&self) {
        if self.is_clean.load(Ordering::Relaxed) {
            return;
        }
        let mut inner = self.lock();
        // One on an old connection does not show that new ones can be had.
        if inner.open.is_some() {
            return;
        }
        inner.recover();
        self.became(&mut inner, DatabaseState::Ready);
        self.is_clean.store(true, Ordering::Relaxed);
    }

    /// A statement failed.
    pub(crate) fn statement_failed(&self, error: &ClientDbError) {
        // One that was moved away from has answered.
        let is_ours = matches!(error, ClientDbError::Busy | ClientDbError::Moved);
        if error.is_outage() && !is_ours {
            self.failed(error, Seen::Statement);
        } else {
            self.statement_worked();
        }
    }

    /// Something failed, and the database is to blame.
    pub(super) fn failed(&self, error: &ClientDbError, seen: Seen) {
        self.failed_at(Instant::now(), error, seen);
    }

    fn failed_at(&self, now: Instant, error: &ClientDbError, seen: Seen) {
        let fault = Fault {
            code: error.code(),
            state: error.database_state(&self.address),
        };
        let mut inner = self.lock();
        self.is_clean.store(false, Ordering::Relaxed);
        *inner.counted.entry(fault.code).or_default() += 1;
        inner.failures = inner.failures.saturating_add(1);
        let since = *inner.since.get_or_insert(now);
        if seen == Seen::Opening || inner.open.is_none() {
            if inner
                .fault
                .is_some_and(|(known, _)| known.code != fault.code)
            {
                self.has_news.store(true, Ordering::Relaxed);
            }
            inner.fault = Some((fault, seen));
        }
        let is_no = seen == Seen::Opening && is_refusal(error);
        match inner.open {
            // What else fails meanwhile is old news.
            Some(_) if seen == Seen::Statement => return,
            None if inner.failures < FAILURES && !is_no => return,
            before => inner.open = Some(self.rest(before, is_no, now, since)),
        }
        self.became(&mut inner, fault.state);
    }

    /// The migration has begun, or ended.
    pub(super) fn set_migrating(&self) {
        self.became(&mut self.lock(), DatabaseState::Migrating);
    }

    /// What is known of the database, with what is wrong with it.
    pub(super) fn state(&self) -> Option<(DatabaseState, Option<Fault>)> {
        let inner = self.lock();
        let state = inner.state?;
        let is_bad = !matches!(state, DatabaseState::Ready | DatabaseState::Migrating);
        let fault = inner.fault.filter(|_| is_bad).map(|(fault, _)| fault);
        Some((state, fault))
    }

    /// Whether the state is another than when this was last asked.
    pub(super) fn take_news(&self) -> bool {
        self.has_news.load(Ordering::Relaxed) && self.has_news.swap(false, Ordering::Relaxed)
    }

    /// Failures by code.
    pub(super) fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counted.clone()
    }

    /// Says that a look has come to its end.
    pub(super) fn say_looked(&self) {
        self.looked.notify_waiters();
    }

    /// Resolves when the next look has come to its end.
    pub(super) fn next_looked(&self) -> tokio::sync::futures::Notified<'_> {
        self.looked.notified()
    }

    fn rest(&self, before: Option<Open>, is_no: bool, now: Instant, since: Instant) -> Open {
        let is_new = now.duration_since(since) < AT_FIRST;
        let rest = match before {
            // Providers lock out who knocks often with what is refused.
            _ if is_no => LONGEST_REST,
            None => FIRST_REST,
            Some(Open { rest, .. }) if is_new => (rest * 2).min(LONGEST_REST_AT_FIRST),
            Some(Open { rest, .. }) => (rest * 2).min(LONGEST_REST),
        };
        Open {
            until: now + rest.mul_f64(self.spread),
            rest,
        }
    }

    fn became(&self, inner: &mut Inner, state: DatabaseState) {
        if inner.state.replace(state) != Some(state) {
            self.has_news.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn recover(&mut self) {
        (self.failures, self.since, self.fault) = (0, None, None);
    }
}

/// Whether a database said no to who we are, rather than failed: asking again soon changes nothing,
/// and its connections are no longer wanted.
fn is_refusal(error: &ClientDbError) -> bool {
    match error {
        ClientDbError::SignIn(said) | ClientDbError::Statement(said) => {
            matches!(said.sqlstate.get(..2), Some("28" | "3D" | "42"))
        }
        ClientDbError::Mismatch
        | ClientDbError::Vanished
        | ClientDbError::ForeignMigration { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServerError;
    use stoa_domain::{Clock, Random};

    fn breaker() -> Breaker {
        let address = DatabaseAddress::parse_operators("postgres://a:b@localhost/c").unwrap();
        let id = InstanceId::generate(&Clock::system(), &Random::seeded(1));
        Breaker::new(id, Arc::new(address))
    }

    fn said(sqlstate: &str) -> ServerError {
        ServerError {
            sqlstate: sqlstate.into(),
            message: "no".into(),
        }
    }

    #[test]
    fn faults_of_requests_do_not_open_it() {
        let breaker = breaker();
        breaker.opened();
        assert!(breaker.take_news());
        let conflict = ClientDbError::Conflict {
            constraint: "once".into(),
        };
        for _ in 0..10 {
            breaker.statement_failed(&conflict);
            breaker.statement_failed(&ClientDbError::Statement(said("23503")));
            breaker.statement_failed(&ClientDbError::TooMuch);
        }
        assert!(!breaker.is_open() && !breaker.is_in_doubt() && !breaker.take_news());
    }

    #[test]
    fn statements_that_time_out_open_it_though_connections_can_be_had() {
        let breaker = breaker();
        breaker.opened();
        let late = ClientDbError::Timeout(Duration::from_secs(10));
        for _ in 0..2 {
            breaker.statement_failed(&late);
        }
        breaker.statement_worked();
        for _ in 0..2 {
            breaker.statement_failed(&late);
        }
        assert!(!breaker.is_open(), "not in a row");
        breaker.statement_failed(&late);
        assert!(matches!(
            breaker.refusal(),
            Some(ClientDbError::Resting {
                last: "database_timeout",
                ..
            })
        ));
        // A good look lets people in again; the first statement that hangs shuts them out.
        breaker.opened();
        assert!(!breaker.is_open());
        breaker.statement_failed(&late);
        assert!(breaker.is_open());
        breaker.opened();
        breaker.statement_worked();
        breaker.statement_failed(&late);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_no_opens_it_at_once_and_is_not_asked_again_soon() {
        let breaker = breaker();
        breaker.opened();
        breaker.failed(&ClientDbError::SignIn(said("28000")), Seen::Opening);
        let rest = breaker.next_look().unwrap();
        assert!(rest > Duration::from_secs(5) && rest < Duration::from_secs(9));
        let (state, fault) = breaker.state().unwrap();
        assert_eq!(state, DatabaseState::Unreachable);
        assert_eq!(fault.unwrap().code, "database_sign_in");
        // Connections that are still open prove nothing.
        breaker.statement_worked();
        assert!(breaker.is_open());
        breaker.opened();
        assert_eq!(breaker.state(), Some((DatabaseState::Ready, None)));
        assert_eq!(breaker.next_look(), None);
    }

    #[test]
    fn too_many_connections_are_no_refusal() {
        let breaker = breaker();
        breaker.opened();
        for _ in 0..2 {
            breaker.failed(&ClientDbError::SignIn(said("53300")), Seen::Opening);
        }
        assert!(!breaker.is_open() && breaker.is_in_doubt());
        breaker.statement_worked();
        assert!(!breaker.is_in_doubt());
    }

    #[test]
    fn it_is_looked_at_often_in_the_first_minute_and_steadily_later() {
        let breaker = breaker();
        let began = Instant::now();
        let (mut now, mut looks) = (began, Vec::new());
        while now < began + Duration::from_secs(180) {
            breaker.failed_at(now, &ClientDbError::ConnectionLost, Seen::Opening);
            now = breaker.lock().open.map_or(now + DOUBT, |open| open.until);
            looks.push(now.duration_since(began).as_secs() / 60);
        }
        let in_minute = |n| looks.iter().filter(|it| **it == n).count();
        assert!((30..80).contains(&in_minute(0)), "{}", in_minute(0));
        assert!((7..13).contains(&in_minute(2)), "{}", in_minute(2));
    }
}
