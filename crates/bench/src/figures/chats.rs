//! How many chats a second Stoa answers, over the least that a saved chat takes.
//!
//! Where the provider's tokens come all at once, the processors, which all processes share, and the
//! disk are the bound. Where they come at a pace, the pace is one too: what the client gets from the
//! fake directly is the most that anybody can, and a counterpart near it makes the ratio look better
//! than it is. Stoa holds a few connections to each client's database, so it is asked for one
//! client, beside a handler with as many connections, and for several.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::{Pairs, Sample};
use crate::minimal::Minimal;
use crate::process::{seconds_of, seconds_of_family};
use crate::report::{Report, a_second, milliseconds};
use crate::stoa::{Instance, Platform, Stoa};

/// How many connections Stoa holds to one client's database at most.
const CONNECTIONS: usize = 5;
/// How many clients there are where there are several.
const CLIENTS: usize = 8;

/// What is asked, and of how many.
struct Way {
    name: &'static str,
    /// The fake's.
    behaviour: &'static str,
    clients: usize,
}

const WAYS: [Way; 3] = [
    Way {
        name: "one client, tokens all at once",
        behaviour: "",
        clients: 1,
    },
    Way {
        name: "8 clients, tokens all at once",
        behaviour: "",
        clients: CLIENTS,
    },
    Way {
        name: "8 clients, a token every millisecond",
        behaviour: "rate=1000",
        clients: CLIENTS,
    },
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
    let mut instances = Vec::new();
    for _ in 0..CLIENTS {
        instances.push(stoa.instance(&platform, &fake, &http).await?);
    }
    let meter = Meter {
        ground,
        http: &http,
        amount,
    };
    for way in &WAYS {
        fake.behave(&http, way.behaviour).await?;
        let minimal = Minimal::start(ground, &fake, CONNECTIONS * way.clients).await?;
        let clients = instances.get(..way.clients).unwrap_or_default();
        let (mut turns, mut direct) = (Vec::new(), Vec::new());
        // The first turn warms connections, plans and caches, and is not counted.
        for round in 0..=amount.rounds {
            let asked = conversations(clients, &http, amount.conversations).await?;
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
            &format!(
                "Chats at 64 at once, {}: Stoa over a minimal saved chat with {} connections",
                way.name,
                CONNECTIONS * way.clients
            ),
            ["Stoa", "minimal"],
        );
        say(&turns, &direct, report);
        minimal.process.stop().await?;
    }
    let asked = amount.conversations * amount.turns * (amount.rounds + 1) * WAYS.len();
    let asked = i64::try_from(asked)?;
    let kept = ground.connect(crate::minimal::DATABASE).await?;
    let kept = crate::minimal::stored(&kept).await?;
    ensure!(
        kept == 2 * asked,
        "the minimal handler has kept {kept} messages of {asked} chats"
    );
    let metered = platform.metered().await?;
    ensure!(
        metered == asked,
        "Stoa has metered {metered} of {asked} chats"
    );
    stoa.process.stop().await
}

/// New conversations, so that all clients are talked to all the time.
async fn conversations(
    clients: &[Instance],
    http: &Http,
    count: usize,
) -> Result<Vec<Conversation>> {
    let mut begun = Vec::with_capacity(count);
    for client in clients.iter().cycle().take(count) {
        begun.extend(client.conversations(http, 1).await?);
    }
    Ok(begun)
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
    report.pairs("chats a second", &pairs(|cost| cost.rate), a_second, "");
    let times = [
        ("processor time a chat, server", pairs(|cost| cost.server)),
        ("the same, PostgreSQL", pairs(|cost| cost.postgres)),
        ("the same, client", pairs(|cost| cost.client)),
    ];
    for (name, times) in &times {
        report.pairs(name, times, milliseconds, "");
    }
    let median = |of: fn(&Cost) -> f64| Sample::of(direct.iter().map(of)).median();
    report.remark(&format!(
        "The client itself gets {} from the fake directly, at {} of processor time a chat; the fake takes {}.",
        a_second(median(|cost| cost.rate)),
        milliseconds(median(|cost| cost.client)),
        milliseconds(median(|cost| cost.server)),
    ));
}
