//! `kill -9` at two hundred random points, with visitors who write down what they were told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use stoa_domain::Random;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::{Ledger, Tally};
use super::visitor::{End, Question, visit};
use super::world::{Moment, World};

/// Programs that are killed side by side.
const WORLDS: usize = 4;
/// How often each is killed.
const KILLS: usize = 50;
/// The clients of each world's visitors.
const VISITORS: [usize; 4] = [0, 0, 0, 1];
/// How many conversations of each world have their last answer made again in the end.
const AGAIN: usize = 4;
/// Another seed than a new one.
const SEED: &str = "STOA_CRASH_SEED";

/// When the program is killed.
#[derive(Debug)]
enum Point {
    /// So long after it was started, ready or not.
    Starting(Duration),
    /// So long after it was ready.
    Serving(Duration),
    /// So long after a visitor saw this.
    After(Moment, Duration),
}

impl Point {
    /// Anywhere, and more often where little time is spent and much can go wrong.
    fn choose(random: &Random) -> Self {
        let within =
            |milliseconds: u64| Duration::from_millis(milliseconds).mul_f64(random.fraction());
        match random.fraction() {
            it if it < 0.15 => Self::Starting(within(500)),
            it if it < 0.45 => Self::Serving(within(1_000)),
            it if it < 0.60 => Self::After(Moment::Saved, within(800)),
            it if it < 0.75 => Self::After(Moment::Asked, within(25)),
            it if it < 0.85 => Self::After(Moment::FirstWord, within(20)),
            _ => Self::After(Moment::LastWord, within(15)),
        }
    }

    /// Starts the program and kills it.
    async fn kill(self, world: &World) -> chrono::DateTime<chrono::Utc> {
        let mut running = world.start();
        match self {
            Self::Starting(delay) => tokio::time::sleep(delay).await,
            Self::Serving(delay) => {
                world.ready(&mut running).await;
                tokio::time::sleep(delay).await;
            }
            Self::After(moment, delay) => {
                world.ready(&mut running).await;
                world.seen(moment).await;
                tokio::time::sleep(delay).await;
            }
        }
        running.kill()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_two_hundred_points_nothing_acknowledged_is_lost_or_doubled() {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::from_le_bytes(Random::system().bytes()),
    };
    println!("{SEED}={seed} asks for the same points again");
    let tasks = TaskTracker::new();
    let worlds = (0..WORLDS).map(|number| {
        let random = Random::seeded(seed.wrapping_add(number as u64));
        tasks.spawn(live_through(format!("w{number}"), random))
    });
    let mut worlds: FuturesUnordered<_> = worlds.collect();
    let mut interrupted_with_text = 0;
    while let Some(tally) = worlds.next().await {
        let tally = tally.unwrap();
        let took = tally.killing + tally.coming_back;
        println!("in {took:?}: {tally:?}");
        assert!(tally.finished > 0 && tally.interrupted > 0, "{tally:?}");
        interrupted_with_text += tally.interrupted_with_text;
    }
    assert!(
        interrupted_with_text > 0,
        "nothing was cut that had been saved"
    );
}

/// One program's life: killed again and again under its visitors, then left alone and looked at.
async fn live_through(name: String, random: Random) -> Tally {
    let world = World::create(name, random).await;
    let mut ledger = Ledger::open(&world).await;
    let over = CancellationToken::new();
    let visitors = VISITORS.iter().enumerate().map(|(number, client)| {
        let (world, over) = (Arc::clone(&world), over.clone());
        async move {
            let name = format!("{}-{number}", world.name);
            visit(&world, *client, &name, &over).await
        }
    });
    let begun = Instant::now();
    let killing = async {
        for _ in 0..KILLS {
            let at = Point::choose(&world.random).kill(&world).await;
            // What the program had sent to its databases is done by then.
            tokio::time::sleep(Duration::from_millis(40)).await;
            ledger.note_cut(at).await;
            ledger.check_counted(&world.take_finished()).await;
        }
        let mut running = world.start();
        world.ready(&mut running).await;
        let took = begun.elapsed();
        over.cancel();
        (running, took)
    };
    let (asked, (running, killing)) = tokio::join!(join_all(visitors), killing);
    let mut asked: Vec<_> = asked.into_iter().flatten().collect();
    ledger.mended().await;
    let tally = ledger.check(&asked).await;
    come_back(&world, &mut asked).await;
    ledger.mended().await;
    let after = ledger.check(&asked).await;
    assert_eq!(
        after.acknowledged, after.questions,
        "every question can be sent again"
    );
    drop(running);
    Tally {
        killing,
        coming_back: begun.elapsed() - killing,
        ..tally
    }
}

/// Those come back who do not know how it ended, and some of the others: each stream is gone on
/// with, and each question sent again. Then some have their last question answered again.
async fn come_back(world: &World, asked: &mut [Question]) {
    let last = last_of_conversations(asked);
    let returning = asked
        .iter_mut()
        .enumerate()
        .filter(|(index, question)| question.end != Some(End::Finished) || index % 10 == 0);
    stream::iter(returning)
        .for_each_concurrent(8, |(_, question)| async move {
            if question.message.is_some() {
                question.resume(world).await;
            }
            question.send(world).await;
            assert!(question.end.is_some(), "{question:?}");
        })
        .await;
    for index in last.into_iter().take(AGAIN) {
        asked[index].regenerate(world).await;
    }
}

/// The questions that nothing comes after: the last of conversations in which each was acknowledged.
fn last_of_conversations(asked: &[Question]) -> Vec<usize> {
    let mut last = HashMap::new();
    for (index, question) in asked.iter().enumerate() {
        let is_known = question.message.is_some();
        last.entry(&question.session.0)
            .and_modify(|(at, all_known)| (*at, *all_known) = (index, *all_known && is_known))
            .or_insert((index, is_known));
    }
    let last = last.into_values().filter(|(_, all_known)| *all_known);
    last.map(|(at, _)| at).collect()
}
