//! The global cap on connections, shared out in turns: whoever waits for a place waits for one of
//! each other client's at most, however many of theirs wait.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use stoa_domain::InstanceId;
use tokio::sync::oneshot;

/// Places for connections.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The clients that wait, in the order in which they are served next, with their callers.
    waiting: VecDeque<(InstanceId, VecDeque<oneshot::Sender<Place>>)>,
}

/// The right to have one connection open. Goes to the next in line when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Gate>);

impl Gate {
    pub(super) fn new(places: usize) -> Arc<Self> {
        let state = State {
            free: places,
            waiting: VecDeque::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    /// A place, if one is free. Nobody waits then: a place that is given back goes to them first.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Place(Arc::clone(self)))
    }

    /// Gets in line; the place comes over the channel. Leaving is dropping it.
    pub(super) fn line_up(self: &Arc<Self>, instance: InstanceId) -> oneshot::Receiver<Place> {
        let (give, receive) = oneshot::channel();
        if let Some(place) = self.try_enter() {
            // The other end is in our hands.
            let _ = give.send(place);
            return receive;
        }
        let mut state = self.lock();
        match state.waiting.iter_mut().find(|(it, _)| *it == instance) {
            Some((_, callers)) => callers.push_back(give),
            None => state.waiting.push_back((instance, VecDeque::from([give]))),
        }
        receive
    }

    /// How many places are free.
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }

    /// How many callers wait.
    pub(super) fn waiting(&self) -> usize {
        let state = self.lock();
        let callers = state.waiting.iter().flat_map(|(_, callers)| callers);
        callers.filter(|caller| !caller.is_closed()).count()
    }

    fn give_back(self: &Arc<Self>) {
        let next = {
            let mut state = self.lock();
            let next = state.next();
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        if let Some(caller) = next {
            // One who has left just now drops the place, which comes back here.
            let _ = caller.send(Place(Arc::clone(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next caller of the next client, which then goes to the end of the line.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some((instance, mut callers)) = self.waiting.pop_front() {
            let present = std::iter::from_fn(|| callers.pop_front()).find(|it| !it.is_closed());
            if !callers.is_empty() {
                self.waiting.push_back((instance, callers));
            }
            if present.is_some() {
                return present;
            }
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use stoa_domain::{Clock, Random};

    use super::*;

    fn ids<const N: usize>() -> [InstanceId; N] {
        let (clock, random) = (Clock::system(), Random::seeded(1));
        std::array::from_fn(|_| InstanceId::generate(&clock, &random))
    }

    #[test]
    fn a_client_with_many_waiters_waits_in_turn_with_one_who_has_one() {
        let gate = Gate::new(1);
        let [busy, quiet] = ids();
        let held = gate.try_enter().unwrap();
        let mut crowd: Vec<_> = (0..1_000).map(|_| gate.line_up(busy)).collect();
        let mut single = gate.line_up(quiet);
        assert_eq!(gate.waiting(), 1_001);
        drop(held);
        let first = crowd[0].try_recv().unwrap();
        assert!(single.try_recv().is_err());
        drop(first);
        let second = single.try_recv().unwrap();
        assert!(crowd[1].try_recv().is_err());
        drop(second);
        crowd[1].try_recv().unwrap();
    }

    #[test]
    fn no_place_is_lost_on_those_who_leave() {
        let gate = Gate::new(2);
        let [one, other] = ids();
        let held = [gate.try_enter().unwrap(), gate.try_enter().unwrap()];
        let gone = gate.line_up(one);
        let mut stays = gate.line_up(other);
        let late = gate.line_up(one);
        drop(gone);
        assert_eq!(gate.waiting(), 2);
        drop(held);
        let place = stays.try_recv().unwrap();
        // Given a place that it never takes.
        drop(late);
        drop(place);
        assert_eq!((gate.free(), gate.waiting()), (2, 0));
        assert!(gate.try_enter().is_some());
    }
}
