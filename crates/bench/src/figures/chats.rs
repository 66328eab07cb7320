//! How many chats a second Stoa answers, over the least that a saved chat takes.
//!
//! The provider answers at once, so the processors are the bound, which all processes share: what
//! is counted is the processor time that a chat takes in all of them.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::{Pairs, Sample};
use crate::minimal::Minimal;
use crate::process::{seconds_of, seconds_of_family};
use crate::report::{Report, milliseconds};
use crate::stoa::{Platform, Stoa};

/// How many connections to its database the minimal handler has. More did not make it faster.
const CONNECTIONS: usize = 16;

/// Ways in which the provider's tokens come.
const WAYS: [(&str, &str); 2] = [
    ("tokens all at once", ""),
    ("token by token, 2.5 ms apart", "rate=400"),
];

/// What a chat took in one turn.
#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    /// Seconds of processor time a chat.
    server: f64,
    postgres: f64,
    client: f64,
}

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "chats").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let instance = stoa.instance(&platform, &fake, &http).await?;
    let minimal = Minimal::start(ground, &fake, CONNECTIONS).await?;
    let meter = Meter {
        ground,
        http: &http,
        amount,
    };
    for (name, behaviour) in WAYS {
        fake.behave(&http, behaviour).await?;
        let (mut turns, mut direct) = (Vec::new(), Vec::new());
        // The first turn warms connections, plans and caches, and is not counted.
        for round in 0..=amount.rounds {
            let asked = instance.conversations(&http, amount.conversations).await?;
            let above = meter.turn(stoa.process.id()?, asked).await?;
            let asked = minimal.conversations(amount.conversations).await?;
            let below = meter.turn(minimal.process.id()?, asked).await?;
            let asked = vec![fake.directly(); amount.conversations];
            let without = meter.turn(fake.process.id()?, asked).await?;
            if round > 0 {
                turns.push((above, below));
                direct.push(without);
            }
        }
        report.section(
            &format!("Chats at 64 at once, {name}: Stoa over a minimal saved chat"),
            ["Stoa", "minimal"],
        );
        say(&turns, &direct, report);
    }
    let asked = amount.conversations * amount.turns * (amount.rounds + 1) * WAYS.len();
    ensure!(
        usize::try_from(minimal.stored().await?)? == 2 * asked,
        "the minimal handler has lost messages"
    );
    minimal.process.stop().await?;
    stoa.process.stop().await
}

struct Meter<'a> {
    ground: &'a Ground,
    http: &'a Http,
    amount: Amount,
}

impl Meter<'_> {
    async fn turn(&self, server: u32, conversations: Vec<Conversation>) -> Result<Cost> {
        let used = || -> Result<[f64; 3]> {
            Ok([
                seconds_of(server)?,
                seconds_of_family(self.ground.postgres())?,
                seconds_of(std::process::id())?,
            ])
        };
        let before = used()?;
        let turns = self.amount.turns;
        let load = self
            .http
            .load(conversations, AT_ONCE, turns, Duration::ZERO);
        let load = load.await?;
        let after = used()?;
        let a_chat = |index: usize| (after[index] - before[index]) / load.answers.len() as f64;
        Ok(Cost {
            rate: load.rate(),
            server: a_chat(0),
            postgres: a_chat(1),
            client: a_chat(2),
        })
    }
}

fn say(turns: &[(Cost, Cost)], direct: &[Cost], report: &mut Report) {
    let pairs = |of: fn(&Cost) -> f64| Pairs::of(turns.iter().map(|(a, b)| (of(a), of(b))));
    let rates = pairs(|cost| cost.rate);
    let a_second = |number: f64| format!("{number:.0}/s");
    report.figure(
        "chats a second",
        [
            a_second(rates.above().median()),
            a_second(rates.below().median()),
        ],
        rates.ratios().median(),
        &rates.ratios(),
        "",
    );
    let times = [
        ("processor time a chat, server", pairs(|cost| cost.server)),
        ("the same, PostgreSQL", pairs(|cost| cost.postgres)),
        ("the same, client", pairs(|cost| cost.client)),
    ];
    for (name, times) in times {
        report.figure(
            name,
            [
                milliseconds(times.above().median()),
                milliseconds(times.below().median()),
            ],
            times.ratios().median(),
            &times.ratios(),
            "",
        );
    }
    let median = |of: fn(&Cost) -> f64| Sample::of(direct.iter().map(of)).median();
    report.remark(&format!(
        "The client itself gets {} from the fake directly, at {} of processor time a chat; the fake takes {}.",
        a_second(median(|cost| cost.rate)),
        milliseconds(median(|cost| cost.client)),
        milliseconds(median(|cost| cost.server)),
    ));
}
