//! Which instances were talked to in the last minute.
//!
//! The platform's row of an instance says when it was last active, to the minute, and is written
//! before the turn begins: so a sweep knows where a crash can have left something, and never wakes
//! a database that rests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use stoa_domain::InstanceId;

/// How exact the noted time is.
pub const GRANULARITY: Duration = Duration::from_secs(60);
/// Above so many entries the outdated ones are thrown out.
const MANY: usize = 4_096;

/// When each instance's activity was last written down by this process.
#[derive(Default)]
pub struct Activity(Mutex<HashMap<InstanceId, Instant>>);

impl Activity {
    /// Whether the instance's activity is to be written down now.
    #[must_use]
    pub fn is_due(&self, instance: InstanceId) -> bool {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written
            .get(&instance)
            .is_none_or(|at| at.elapsed() >= GRANULARITY)
    }

    /// Notes that it was.
    pub fn written(&self, instance: InstanceId) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() > MANY {
            written.retain(|_, at| at.elapsed() < GRANULARITY);
        }
        written.insert(instance, Instant::now());
    }
}
