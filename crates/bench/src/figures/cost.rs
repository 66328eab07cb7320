//! What answers cost: how many come in a second, and the processor time of each process.

use std::time::Duration;

use anyhow::Result;

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http};
use crate::ground::Ground;
use crate::measured::Pairs;
use crate::process::{seconds_of, seconds_of_family};

/// What an answer took in one turn.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    /// Answers a second.
    pub(super) rate: f64,
    /// Seconds of processor time an answer.
    pub(super) server: f64,
    pub(super) postgres: f64,
    pub(super) client: f64,
}

/// Measures turns, each of many at once.
pub(super) struct Meter<'a> {
    pub(super) ground: &'a Ground,
    pub(super) http: &'a Http,
    pub(super) amount: Amount,
}

impl Meter<'_> {
    /// Asks in these conversations, which are all with one server. They begin one after the other
    /// over `spread`.
    pub(super) async fn turn(
        &self,
        server: u32,
        conversations: Vec<Conversation>,
        spread: Duration,
    ) -> Result<Cost> {
        let used = || -> Result<[f64; 3]> {
            Ok([
                seconds_of(server)?,
                seconds_of_family(self.ground.postgres())?,
                seconds_of(std::process::id())?,
            ])
        };
        let before = used()?;
        let turns = self.amount.turns;
        let load = self.http.load(conversations, AT_ONCE, turns, spread);
        let load = load.await?;
        let after = used()?;
        let each = |index: usize| (after[index] - before[index]) / load.answers.len() as f64;
        Ok(Cost {
            rate: load.rate(),
            server: each(0),
            postgres: each(1),
            client: each(2),
        })
    }
}

/// One number of each turn's two costs.
pub(super) fn pairs(turns: &[(Cost, Cost)], of: fn(&Cost) -> f64) -> Pairs {
    Pairs::of(turns.iter().map(|(above, below)| (of(above), of(below))))
}
