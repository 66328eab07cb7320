//! How much later the first token comes through Stoa than from the provider itself.
//!
//! The instance has no documents; nothing is found, but that is known only by searching, so one
//! search is part of the figure, as are storing the question and the empty answer.

use std::time::Duration;

use anyhow::Result;

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http, Taken};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::{Pairs, Sample};
use crate::report::{Report, milliseconds, more};
use crate::stoa::{Instance, Platform, Stoa};

/// When the provider says its first token, and how fast it goes on, where many listen.
const ONE: &str = "delay=20";
const MANY: &str = "delay=20,rate=100";
/// How long one answer takes then: visitors who do not come at the same moment are spread over it.
const ANSWER: Duration = Duration::from_millis(420);

/// A way of asking.
struct Way {
    name: &'static str,
    behaviour: &'static str,
    at_once: usize,
    conversations: usize,
    turns: usize,
    spread: Duration,
}

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "first_token").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let instance = stoa.instance(&platform, &fake, &http).await?;
    report.section(
        "Time to first token: through Stoa over asking the provider (first token after 20 ms) itself",
        ["through Stoa", "directly"],
    );
    let ways = [
        Way {
            name: "1 at once",
            behaviour: ONE,
            at_once: 1,
            conversations: amount.one_by_one.div_ceil(amount.turns),
            turns: amount.turns,
            spread: Duration::ZERO,
        },
        Way {
            name: "64 at once, spread",
            behaviour: MANY,
            at_once: AT_ONCE,
            conversations: AT_ONCE,
            turns: amount.turns,
            spread: ANSWER,
        },
        Way {
            name: "64 at the same moment",
            behaviour: MANY,
            at_once: AT_ONCE,
            conversations: AT_ONCE,
            turns: 1,
            spread: Duration::ZERO,
        },
    ];
    for way in &ways {
        fake.behave(&http, way.behaviour).await?;
        let measuring = Measuring {
            http: &http,
            fake: &fake,
            instance: &instance,
            way,
        };
        measuring.run(amount.rounds, report).await?;
    }
    stoa.process.stop().await
}

struct Measuring<'a> {
    http: &'a Http,
    fake: &'a Fake,
    instance: &'a Instance,
    way: &'a Way,
}

impl Measuring<'_> {
    async fn run(&self, rounds: usize, report: &mut Report) -> Result<()> {
        let mut stoa = Vec::with_capacity(rounds);
        let mut direct = Vec::with_capacity(rounds);
        self.turn_of_stoa().await?;
        self.turn_of_direct().await?;
        for _ in 0..rounds {
            stoa.push(self.turn_of_stoa().await?);
            direct.push(self.turn_of_direct().await?);
        }
        for (word, share) in [("median", 0.5), ("p95", 0.95)] {
            let at = |answers: &[Taken]| sample(answers).at(share);
            let rounds = stoa.iter().zip(&direct);
            let rounds = Pairs::of(rounds.map(|(stoa, direct)| (at(stoa), at(direct))));
            let (above, below) = (at(&stoa.concat()), at(&direct.concat()));
            report.figure(
                &format!("{}, {word}", self.way.name),
                [milliseconds(above), milliseconds(below)],
                above / below,
                &rounds.ratios(),
                &more(milliseconds, above - below),
            );
        }
        Ok(())
    }

    async fn turn_of_stoa(&self) -> Result<Vec<Taken>> {
        let count = self.way.conversations;
        self.turn(self.instance.conversations(self.http, count).await?)
            .await
    }

    async fn turn_of_direct(&self) -> Result<Vec<Taken>> {
        self.turn(vec![self.fake.directly(); self.way.conversations])
            .await
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

/// In seconds.
fn sample(answers: &[Taken]) -> Sample {
    Sample::of(answers.iter().map(|taken| taken.first_token.as_secs_f64()))
}
