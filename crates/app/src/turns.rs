//! How many answers each instance has being written: a bound per instance, so that a busy one
//! waits for itself and not for others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoa_domain::InstanceId;

/// How many answers one instance may have written at once by one process.
const AT_ONCE: usize = 256;

/// The answers being written, counted by instance; an instance without any takes no memory.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<InstanceId, usize>>>);

/// One of an instance's places, given back when dropped.
pub struct Place {
    turns: Turns,
    instance: InstanceId,
}

impl Turns {
    /// A place for one more answer of an instance, or `None` when all are taken.
    #[must_use]
    pub fn take(&self, instance: InstanceId) -> Option<Place> {
        let mut taken = self.counts();
        let count = taken.entry(instance).or_default();
        if *count >= AT_ONCE {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place {
            turns: self.clone(),
            instance,
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<InstanceId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.turns.counts();
        if let Some(count) = taken.get_mut(&self.instance) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.instance);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoa_domain::{Clock, Random};

    #[test]
    fn an_instance_waits_for_itself_only_and_gives_its_places_back() {
        let (clock, random) = (Clock::system(), Random::seeded(1));
        let (busy, other) = (
            InstanceId::generate(&clock, &random),
            InstanceId::generate(&clock, &random),
        );
        let turns = Turns::default();
        let places: Vec<_> = (0..AT_ONCE).map(|_| turns.take(busy).unwrap()).collect();
        assert!(turns.take(busy).is_none());
        assert!(turns.take(other).is_some());
        drop(places);
        assert!(turns.take(busy).is_some());
        assert!(turns.counts().is_empty());
    }
}
