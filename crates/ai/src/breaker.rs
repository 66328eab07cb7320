//! Circuit breakers: what fails again and again is not asked for a while.
//!
//! Without one, every visitor waits for the deadline of a provider that is down before the next
//! configuration is asked, and a provider that asked to be left alone is asked all the same. There
//! is a breaker for each address, key and model, embedding models too, since limits and overload are
//! of a model, and a key that is replaced begins anew. It opens after [`FAILURES`] failures in a row,
//! or at once where the provider says how long to wait. Then calls fail at once with the code of the
//! last failure, so that what falls through goes on to the next configuration. When the rest is over,
//! one call is let through to see: it closes the breaker or doubles the rest.
//!
//! What fails because of the request or of how the client set things up opens none: asking costs
//! little there, and whoever mends it wants to see it work at once. State is of this process;
//! replicas learn for themselves.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::Instant;

use crate::error::{AiError, AiErrorCode};
use crate::request::Endpoint;

/// So many failures in a row open a breaker.
pub(crate) const FAILURES: u32 = 3;

/// The first rest; each that follows is twice as long.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest: a provider that is well again is found out within this time.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The longest wait that a provider's word is taken for; one may say what it wants.
const LONGEST_ASKED_REST: Duration = Duration::from_secs(300);

/// More breakers than this are not kept; those that rest least are forgotten.
const MOST_KEPT: usize = 10_000;

/// The breakers of all endpoints. What never failed has none.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    /// Makes numbers of addresses and keys that mean nothing outside of this process.
    hasher: RandomState,
    failing: Mutex<HashMap<u64, Breaker>>,
}

#[derive(Debug)]
struct Breaker {
    failures: u32,
    /// No call before this.
    until: Instant,
    /// Whether the one that is to see is under way.
    probing: bool,
    last: AiError,
}

/// The permission to ask, which wants to know how it went.
#[derive(Debug)]
pub(crate) struct Permit {
    breakers: Arc<Breakers>,
    place: u64,
    probe: bool,
    settled: bool,
}

impl Breakers {
    /// Permits a call, or fails with what failed last.
    pub(crate) fn enter(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        model: &str,
        now: Instant,
    ) -> Result<Permit, AiError> {
        let place = self.place_of(endpoint, model);
        let mut probe = false;
        if let Some(breaker) = self.lock().get_mut(&place) {
            let is_open = breaker.failures >= FAILURES;
            if is_open && (now < breaker.until || breaker.probing) {
                return Err(breaker.refusal(now));
            }
            breaker.probing = is_open;
            probe = is_open;
        }
        Ok(Permit {
            breakers: Arc::clone(self),
            place,
            probe,
            settled: false,
        })
    }

    /// With what failed last, where calls fail at once for now.
    pub(crate) fn resting(
        &self,
        endpoint: &Endpoint,
        model: &str,
        now: Instant,
    ) -> Option<AiErrorCode> {
        let failing = self.lock();
        let breaker = failing.get(&self.place_of(endpoint, model))?;
        let rests = breaker.failures >= FAILURES && now < breaker.until;
        rests.then(|| breaker.last.code())
    }

    /// Somebody got an answer without asking for permission.
    pub(crate) fn succeeded(&self, endpoint: &Endpoint, model: &str) {
        self.lock().remove(&self.place_of(endpoint, model));
    }

    fn place_of(&self, endpoint: &Endpoint, model: &str) -> u64 {
        let key = endpoint.api_key.as_ref().map(ExposeSecret::expose_secret);
        let base = endpoint.base_url.as_ref().map(url::Url::as_str);
        self.hasher.hash_one((endpoint.provider, base, key, model))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Breaker>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, place: u64, error: &AiError, now: Instant) {
        let mut failing = self.lock();
        if failing.len() >= MOST_KEPT && !failing.contains_key(&place) {
            forget(&mut failing, now);
        }
        let before = failing.get(&place).map_or(0, |it| it.failures);
        let asked = error.retry_after().map(|it| it.min(LONGEST_ASKED_REST));
        let failures = match asked {
            Some(_) => before.saturating_add(1).max(FAILURES),
            None => before.saturating_add(1),
        };
        let doublings = failures.saturating_sub(FAILURES).min(16);
        let own = (FIRST_REST * 2_u32.pow(doublings)).min(LONGEST_REST);
        let breaker = Breaker {
            failures,
            until: now + asked.map_or(own, |it| it.max(Duration::from_millis(1))),
            probing: false,
            last: error.clone(),
        };
        failing.insert(place, breaker);
    }
}

impl Breaker {
    fn refusal(&self, now: Instant) -> AiError {
        let left = self.until.saturating_duration_since(now);
        let left = (!left.is_zero()).then_some(left);
        self.last.resting(self.failures, left)
    }
}

impl Permit {
    /// The provider answered, or refused what no other call need be refused for.
    pub(crate) fn settle(mut self, failure: Option<&AiError>, now: Instant) {
        self.settled = true;
        match failure.filter(|it| opens(it)) {
            Some(error) => self.breakers.failed(self.place, error, now),
            None => {
                self.breakers.lock().remove(&self.place);
            }
        }
    }
}

/// A call that was given up says nothing; the next one is to see.
impl Drop for Permit {
    fn drop(&mut self) {
        if !self.settled
            && self.probe
            && let Some(breaker) = self.breakers.lock().get_mut(&self.place)
        {
            breaker.probing = false;
        }
    }
}

/// Whether other calls would fail in the same way for some time.
fn opens(error: &AiError) -> bool {
    matches!(
        error.code(),
        AiErrorCode::RateLimited { .. }
            | AiErrorCode::NoQuota
            | AiErrorCode::Overloaded
            | AiErrorCode::Unreachable
            | AiErrorCode::Timeout
            | AiErrorCode::Interrupted
    )
}

/// Makes room: first what rests no more, then what rests least.
fn forget(failing: &mut HashMap<u64, Breaker>, now: Instant) {
    failing.retain(|_, it| it.until > now || it.probing);
    if failing.len() >= MOST_KEPT {
        let least = failing.iter().min_by_key(|(_, it)| it.until);
        if let Some(place) = least.map(|(place, _)| *place) {
            failing.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use stoa_domain::Provider;

    use super::*;

    fn endpoint(key: &str) -> Endpoint {
        Endpoint {
            provider: Provider::Openai,
            base_url: None,
            api_key: Some(key.into()),
        }
    }

    fn overloaded() -> AiError {
        AiError::new(AiErrorCode::Overloaded, "HTTP 503")
    }

    /// Breakers at a time of the test's own.
    struct Watched {
        breakers: Arc<Breakers>,
        now: Instant,
    }

    impl Watched {
        fn new() -> Self {
            Self {
                breakers: Arc::default(),
                now: Instant::now(),
            }
        }

        fn enter(&self) -> Result<Permit, AiError> {
            self.breakers.enter(&endpoint("a"), "m", self.now)
        }

        fn end(&self, failure: Option<&AiError>) {
            self.enter().unwrap().settle(failure, self.now);
        }

        fn is_open(&self) -> bool {
            self.enter().is_err()
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_rests_longer_each_time() {
        let mut it = Watched::new();
        for _ in 0..FAILURES - 1 {
            it.end(Some(&overloaded()));
        }
        it.end(None);
        for _ in 0..FAILURES {
            assert!(!it.is_open(), "a success in between begins anew");
            it.end(Some(&overloaded()));
        }
        let error = it.enter().unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Overloaded);
        assert!(error.falls_through() && error.retry_after().is_some());
        let other = |key, model| it.breakers.enter(&endpoint(key), model, it.now);
        assert!(other("b", "m").is_ok() && other("a", "n").is_ok());
        for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
            it.pass(rest - 1);
            assert!(it.is_open(), "{rest}");
            it.pass(1);
            it.end(Some(&overloaded()));
        }
    }

    #[test]
    fn one_call_sees_whether_it_is_well_again() {
        let mut it = Watched::new();
        for _ in 0..FAILURES {
            it.end(Some(&overloaded()));
        }
        it.pass(1);
        let probe = it.enter().unwrap();
        assert!(it.is_open(), "one at a time");
        drop(probe);
        it.end(None);
        assert!(!it.is_open());
        it.end(Some(&overloaded()));
        assert!(!it.is_open(), "it counts from the beginning");
    }

    #[test]
    fn a_wait_that_the_provider_asks_for_is_kept_to() {
        let mut it = Watched::new();
        let limited = |seconds| {
            AiError::new(AiErrorCode::RateLimited { retry_after: None }, "HTTP 429")
                .with_wait(Some(Duration::from_secs(seconds)))
        };
        it.end(Some(&limited(20)));
        it.pass(19);
        let error = it.enter().unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        it.pass(1);
        it.end(Some(&limited(80_000)));
        it.pass(299);
        assert!(it.is_open());
        it.pass(1);
        assert!(!it.is_open(), "but not for a day");
    }

    #[test]
    fn what_the_request_or_the_settings_are_to_blame_for_opens_none() {
        use AiErrorCode as Code;
        for code in [
            Code::BadKey,
            Code::NotFound,
            Code::Rejected,
            Code::ContextTooLong,
            Code::ContentFiltered,
            Code::Forbidden,
            Code::Protocol,
        ] {
            let it = Watched::new();
            for _ in 0..10 {
                it.end(Some(&AiError::new(code, "")));
            }
        }
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let it = Watched::new();
        for number in 0..MOST_KEPT + 50 {
            let permit = it
                .breakers
                .enter(&endpoint("a"), &number.to_string(), it.now);
            permit.unwrap().settle(Some(&overloaded()), it.now);
        }
        assert_eq!(it.breakers.lock().len(), MOST_KEPT);
    }
}
