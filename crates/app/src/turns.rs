//! How many answers each instance has being written: a bound per instance, so that a busy one
//! waits for itself and not for others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stoa_domain::InstanceId;

/// How many answers one instance may have written at once by one process.
const AT_ONCE: usize = 256;

/// The answers being written, counted by instance; an instance without any takes no memory.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<InstanceId, usize>>>);

/// How often somebody without a place looks whether there is one again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One of an instance's places, given back when dropped.
pub struct Place {
    turns: Turns,
    instance: InstanceId,
    is_held: AtomicBool,
}

impl Turns {
    /// A place for one more answer of an instance, or `None` when all are taken.
    #[must_use]
    pub fn take(&self, instance: InstanceId) -> Option<Place> {
        self.count(instance).then(|| Place {
            turns: self.clone(),
            instance,
            is_held: AtomicBool::new(true),
        })
    }

    /// Counts one more, if there is a place.
    fn count(&self, instance: InstanceId) -> bool {
        let mut taken = self.counts();
        let count = taken.entry(instance).or_default();
        if *count >= AT_ONCE {
            return false;
        }
        *count += 1;
        true
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<InstanceId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Does something that needs no place, such as waiting for a person, and goes on when there is
    /// one again. Whoever drops this half-way has none.
    pub async fn without<T>(&self, work: impl Future<Output = T>) -> T {
        self.give_back();
        let done = work.await;
        while !self.turns.count(self.instance) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.is_held.store(true, Ordering::Release);
        done
    }

    fn give_back(&self) {
        if !self.is_held.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut taken = self.turns.counts();
        if let Some(count) = taken.get_mut(&self.instance) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.instance);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.give_back();
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

    #[tokio::test]
    async fn whoever_waits_for_a_person_makes_room_and_comes_back_when_there_is_some() {
        let instance = InstanceId::generate(&Clock::system(), &Random::seeded(1));
        let turns = Turns::default();
        let mut places: Vec<_> = (0..AT_ONCE)
            .map(|_| turns.take(instance).unwrap())
            .collect();
        let resting = places.pop().unwrap();
        let newcomer = resting.without(async { turns.take(instance).unwrap() });
        let waits = tokio::time::timeout(LOOK_AGAIN * 3, newcomer);
        assert!(
            waits.await.is_err(),
            "the newcomer has the place and keeps it"
        );
        assert_eq!(
            turns.counts()[&instance],
            AT_ONCE - 1,
            "dropped half-way, neither has it"
        );
        resting.without(async {}).await;
        assert_eq!(turns.counts()[&instance], AT_ONCE);
        drop((places, resting));
        assert!(turns.counts().is_empty());
    }
}
