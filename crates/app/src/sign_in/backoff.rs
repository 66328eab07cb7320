//! Whoever keeps guessing passwords waits longer and longer, per account and per address.
//!
//! Kept in this process: a replica more gives a guesser a few tries more, and the database nothing
//! to write. An account's wait is short, so that a stranger cannot lock its owner out for long.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// What is remembered at most; beyond it the longest resting are forgotten.
const REMEMBERED: usize = 20_000;
/// Failures this long ago count no more.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::minutes(15);

/// Whose failures are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// An account by the name that was typed, whether it exists or not.
    Account(String),
    /// A network address; of version 6 the network of 64 bits, which one customer has whole.
    Address(IpAddr),
}

impl Subject {
    /// The address's subject.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    const fn free_tries(&self) -> u32 {
        match self {
            Self::Account(_) => 5,
            Self::Address(_) => 30,
        }
    }

    const fn longest_wait(&self) -> i64 {
        match self {
            Self::Account(_) => 60,
            Self::Address(_) => 300,
        }
    }

    /// How long to wait after so many failures: a second, doubled with each further one.
    fn wait(&self, failures: u32) -> TimeDelta {
        let beyond = failures.saturating_sub(self.free_tries());
        if beyond == 0 {
            return TimeDelta::zero();
        }
        let seconds = 1_i64 << (beyond - 1).min(16);
        TimeDelta::seconds(seconds.min(self.longest_wait()))
    }
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: DateTime<Utc>,
}

/// The failures of late.
#[derive(Default)]
pub(crate) struct Backoff(Mutex<HashMap<Subject, Failures>>);

impl Backoff {
    /// Lets an attempt begin, or says how long to wait. An attempt counts as failed until
    /// [`Self::succeeded`], so that many at once are not all let in.
    pub(crate) fn attempt(&self, subjects: &[Subject], now: DateTime<Utc>) -> Result<(), Duration> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = subjects
            .iter()
            .filter_map(|subject| {
                let known = failures.get(subject)?;
                Some(known.last + subject.wait(known.count) - now)
            })
            .max()
            .unwrap_or_default();
        if let Ok(wait) = longest.to_std()
            && !wait.is_zero()
        {
            return Err(wait);
        }
        make_room(&mut failures, now);
        for subject in subjects {
            let known = failures.entry(subject.clone()).or_insert(Failures {
                count: 0,
                last: now,
            });
            if now - known.last > FORGOTTEN_AFTER {
                known.count = 0;
            }
            known.count += 1;
            known.last = now;
        }
        Ok(())
    }

    /// The attempt was no guess.
    pub(crate) fn succeeded(&self, subjects: &[Subject]) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            match subject {
                Subject::Account(_) => drop(failures.remove(subject)),
                // Somebody with one account of their own does not wash the address clean.
                Subject::Address(_) => {
                    if let Some(known) = failures.get_mut(subject) {
                        known.count = known.count.saturating_sub(1);
                    }
                }
            }
        }
    }
}

fn make_room(failures: &mut HashMap<Subject, Failures>, now: DateTime<Utc>) {
    if failures.len() < REMEMBERED {
        return;
    }
    failures.retain(|_, known| now - known.last <= FORGOTTEN_AFTER);
    if failures.len() < REMEMBERED {
        return;
    }
    let mut times: Vec<_> = failures.values().map(|known| known.last).collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    failures.retain(|_, known| known.last > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> [Subject; 1] {
        [Subject::Account("ada".into())]
    }

    #[test]
    fn guesses_wait_longer_and_longer_and_a_success_forgets_them() {
        let backoff = Backoff::default();
        let mut now = DateTime::UNIX_EPOCH;
        for _ in 0..5 {
            assert_eq!(backoff.attempt(&account(), now), Ok(()));
        }
        assert_eq!(
            backoff.attempt(&account(), now),
            Ok(()),
            "the wait begins with this one"
        );
        assert_eq!(
            backoff.attempt(&account(), now),
            Err(Duration::from_secs(1))
        );
        now += TimeDelta::seconds(1);
        assert_eq!(backoff.attempt(&account(), now), Ok(()));
        assert_eq!(
            backoff.attempt(&account(), now),
            Err(Duration::from_secs(2))
        );
        assert_eq!(
            backoff.attempt(&[Subject::Account("grace".into())], now),
            Ok(())
        );
        backoff.succeeded(&account());
        assert_eq!(backoff.attempt(&account(), now), Ok(()));
    }

    #[test]
    fn an_accounts_wait_ends_within_a_minute_and_old_failures_are_forgotten() {
        let backoff = Backoff::default();
        let mut now = DateTime::UNIX_EPOCH;
        for _ in 0..40 {
            assert_eq!(backoff.attempt(&account(), now), Ok(()));
            now += TimeDelta::seconds(60);
        }
        now += TimeDelta::minutes(16);
        for _ in 0..6 {
            assert_eq!(backoff.attempt(&account(), now), Ok(()));
        }
    }

    #[test]
    fn neighbours_in_one_network_of_version_6_are_one_subject() {
        let of = |text: &str| Subject::of_address(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded() {
        let backoff = Backoff::default();
        for number in 0..(REMEMBERED * 2) {
            let now = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(number.try_into().unwrap());
            let _ = backoff.attempt(&[Subject::Account(number.to_string())], now);
        }
        assert!(backoff.0.lock().unwrap().len() <= REMEMBERED);
    }
}
