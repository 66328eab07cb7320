//! How much later the first token comes through Stoa than from the provider itself, and than through
//! a handler that only passes it on.
//!
//! The instances have no documents, so none are searched; storing the question and the empty answer is
//! part of the figure.

use std::time::Duration;

use anyhow::Result;

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http, Taken};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::{Pairs, Sample};
use crate::passthrough::PassThrough;
use crate::report::{Report, milliseconds, more};
use crate::stoa::{Instance, Platform, Stoa};

/// When the provider says its first token, and how fast it goes on, where many listen.
const ONE: &str = "delay=20";
const MANY: &str = "delay=20,rate=40";
/// How long one answer takes then: visitors who do not come at the same moment are spread over it.
const ANSWER: Duration = Duration::from_millis(1_020);
/// Answers of each visitor in a turn where many ask.
const TURNS: usize = 2;

/// A way of asking.
struct Way {
    name: &'static str,
    behaviour: &'static str,
    clients: usize,
    at_once: usize,
    conversations: usize,
    turns: usize,
    spread: Duration,
}

impl Way {
    const fn spread(name: &'static str, at_once: usize, clients: usize) -> Self {
        Self {
            name,
            behaviour: MANY,
            clients,
            at_once,
            conversations: at_once,
            turns: TURNS,
            spread: ANSWER,
        }
    }
}

fn ways(amount: Amount) -> [Way; 5] {
    [
        Way {
            name: "1 at once",
            behaviour: ONE,
            clients: 1,
            at_once: 1,
            conversations: amount.one_by_one.div_ceil(amount.turns),
            turns: amount.turns,
            spread: Duration::ZERO,
        },
        Way::spread("16 at once", 16, 1),
        Way::spread("64 at once", AT_ONCE, 1),
        // One client may not have more answers written at once.
        Way::spread("256 at once, 8 clients", 256, Instance::SEVERAL),
        Way {
            turns: 1,
            spread: Duration::ZERO,
            ..Way::spread("64 at the same moment", AT_ONCE, 1)
        },
    ]
}

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "first_token").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let pass_through = PassThrough::start(&fake).await?;
    let instances = Instance::several(&stoa, &platform, &fake, &http).await?;
    let mut measured = Vec::new();
    for way in ways(amount) {
        fake.behave(&http, way.behaviour).await?;
        let measuring = Measuring {
            http: &http,
            fake: &fake,
            pass_through: &pass_through,
            instances: instances.get(..way.clients).unwrap_or_default(),
            way: &way,
        };
        let turns = measuring.run(amount.rounds).await?;
        measured.push((way, turns));
    }
    report.section(
        "Time to first token: through Stoa over asking the provider (first token after 20 ms) itself",
        ["through Stoa", "directly"],
    );
    for (way, turns) in &measured {
        say(way, &turns.stoa, &turns.direct, report);
    }
    report.section(
        "Time to first token: through Stoa over a bare pass-through",
        ["through Stoa", "pass-through"],
    );
    for (way, turns) in &measured {
        say(way, &turns.stoa, &turns.passed, report);
    }
    pass_through.process.stop().await?;
    stoa.process.stop().await
}

/// The answers of each turn.
#[derive(Default)]
struct Turns {
    stoa: Vec<Vec<Taken>>,
    passed: Vec<Vec<Taken>>,
    direct: Vec<Vec<Taken>>,
}

struct Measuring<'a> {
    http: &'a Http,
    fake: &'a Fake,
    pass_through: &'a PassThrough,
    instances: &'a [Instance],
    way: &'a Way,
}

impl Measuring<'_> {
    async fn run(&self, rounds: usize) -> Result<Turns> {
        let count = self.way.conversations;
        let mut turns = Turns::default();
        // The first turn warms connections, plans and caches, and is not counted.
        for round in 0..=rounds {
            let asked = Instance::conversations_of(self.instances, self.http, count).await?;
            let stoa = self.turn(asked).await?;
            let asked = vec![self.pass_through.conversation(self.fake); count];
            let passed = self.turn(asked).await?;
            let direct = self.turn(vec![self.fake.directly(); count]).await?;
            if round > 0 {
                turns.stoa.push(stoa);
                turns.passed.push(passed);
                turns.direct.push(direct);
            }
        }
        Ok(turns)
    }

    async fn turn(&self, conversations: Vec<Conversation>) -> Result<Vec<Taken>> {
        let Way {
            at_once,
            turns,
            spread,
            ..
        } = *self.way;
        let load = self.http.load(conversations, at_once, turns, spread);
        Ok(load.await?.answers)
    }
}

fn say(way: &Way, above: &[Vec<Taken>], below: &[Vec<Taken>], report: &mut Report) {
    for (word, share) in [("median", 0.5), ("p95", 0.95)] {
        let at = |answers: &[Taken]| sample(answers).at(share);
        let rounds = above.iter().zip(below);
        let rounds = Pairs::of(rounds.map(|(above, below)| (at(above), at(below))));
        let (above, below) = (at(&above.concat()), at(&below.concat()));
        report.figure(
            &format!("{}, {word}", way.name),
            [milliseconds(above), milliseconds(below)],
            above / below,
            &rounds.ratios(),
            &more(milliseconds, above - below),
        );
    }
}

/// In seconds.
fn sample(answers: &[Taken]) -> Sample {
    Sample::of(answers.iter().map(|taken| taken.first_token.as_secs_f64()))
}
