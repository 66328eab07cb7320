//! How many answers each instance has being written: a bound per instance, so that a busy one
//! waits for itself and not for others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stoa_domain::InstanceId;

/// How many answers one instance may have written at once by one process.
const AT_ONCE: usize = 256;
/// How many more may wait for a person meanwhile; further ones keep their places.
const RESTING: usize = 1_024;

/// The answers being written, counted by instance; an instance without any takes no memory.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<InstanceId, Counts>>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    held: usize,
    resting: usize,
}

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
        self.change(instance, Counts::take).then(|| Place {
            turns: self.clone(),
            instance,
            is_held: AtomicBool::new(true),
        })
    }

    /// Changes an instance's counts if that can be.
    fn change(&self, instance: InstanceId, change: impl FnOnce(&mut Counts) -> bool) -> bool {
        let mut all = self.counts();
        let mut counts = all.get(&instance).copied().unwrap_or_default();
        if !change(&mut counts) {
            return false;
        }
        match counts == Counts::default() {
            true => drop(all.remove(&instance)),
            false => drop(all.insert(instance, counts)),
        }
        true
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<InstanceId, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn take(&mut self) -> bool {
        let has_room = self.held < AT_ONCE;
        self.held += usize::from(has_room);
        has_room
    }

    fn give_back(&mut self) -> bool {
        self.held -= 1;
        true
    }
}

impl Place {
    /// Does something that needs no place, such as waiting for a person, and goes on when there is
    /// one again. Whoever drops this half-way has none.
    pub async fn without<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(rest) = self.rest() else {
            return work.await;
        };
        let done = work.await;
        while !self.turns.change(self.instance, Counts::take) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.is_held.store(true, Ordering::Release);
        drop(rest);
        done
    }

    /// Gives the place back until the guard is dropped, if there is room for one more that rests.
    fn rest(&self) -> Option<Rest<'_>> {
        let rests = self.turns.change(self.instance, |counts| {
            let has_room = counts.resting < RESTING;
            counts.resting += usize::from(has_room);
            has_room && counts.give_back()
        });
        rests.then(|| {
            self.is_held.store(false, Ordering::Release);
            Rest(self)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_held.load(Ordering::Acquire) {
            self.turns.change(self.instance, Counts::give_back);
        }
    }
}

/// Somebody rests.
struct Rest<'a>(&'a Place);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.turns.change(self.0.instance, |counts| {
            counts.resting -= 1;
            true
        });
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
        let counts = || turns.counts()[&instance];
        assert_eq!(
            (counts().held, counts().resting),
            (AT_ONCE - 1, 0),
            "dropped half-way, neither has it"
        );
        let resting = turns.take(instance).unwrap();
        let meanwhile = resting.without(async { (counts().held, counts().resting) });
        assert_eq!(meanwhile.await, (AT_ONCE - 1, 1));
        assert_eq!((counts().held, counts().resting), (AT_ONCE, 0));
        drop((places, resting));
        assert!(turns.counts().is_empty());
    }
}
