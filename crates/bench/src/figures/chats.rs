//! How many chats a second Stoa answers: over the least that a saved chat takes, over a bare
//! pass-through, and over the provider asked directly.
//!
//! Where the provider's tokens come all at once, the processors, which all processes share, and the
//! disk are the bound. Where they come at a pace, the pace is one too: what the client gets from the
//! fake directly is the most that anybody can, and a counterpart near it makes the ratio look better
//! than it is. Stoa holds a few connections to each client's database, so it is asked for one
//! client, beside a handler with as many connections, and for several.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Amount;
use super::cost::{Cost, Meter, pairs};
use crate::client::Http;
use crate::fake::Fake;
use crate::ground::Ground;
use crate::minimal::Minimal;
use crate::passthrough::PassThrough;
use crate::report::{Report, a_second, milliseconds};
use crate::stoa::{Instance, Platform, Stoa};

/// How many connections Stoa holds to one client's database at most.
const CONNECTIONS: usize = 5;

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
        clients: Instance::SEVERAL,
    },
    Way {
        name: "8 clients, a token every millisecond",
        behaviour: "rate=1000",
        clients: Instance::SEVERAL,
    },
];

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "chats").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let instances = Instance::several(&stoa, &platform, &fake, &http).await?;
    let pass_through = PassThrough::start(&fake).await?;
    let meter = Meter {
        ground,
        http: &http,
        amount,
    };
    for way in &WAYS {
        fake.behave(&http, way.behaviour).await?;
        let minimal = Minimal::start(ground, &fake, CONNECTIONS * way.clients).await?;
        let clients = instances.get(..way.clients).unwrap_or_default();
        let mut turns = Turns::default();
        // The first turn warms connections, plans and caches, and is not counted.
        for round in 0..=amount.rounds {
            let at_once = Duration::ZERO;
            let asked = Instance::conversations_of(clients, &http, amount.conversations).await?;
            let above = meter.turn(stoa.process.id()?, asked, at_once).await?;
            let asked = minimal.conversations(amount.conversations).await?;
            let minimal = meter.turn(minimal.process.id()?, asked, at_once).await?;
            let asked = vec![pass_through.conversation(&fake); amount.conversations];
            let passed = meter
                .turn(pass_through.process.id()?, asked, at_once)
                .await?;
            let asked = vec![fake.directly(); amount.conversations];
            let direct = meter.turn(fake.process.id()?, asked, at_once).await?;
            if round > 0 {
                turns.minimal.push((above, minimal));
                turns.passed.push((above, passed));
                turns.direct.push((above, direct));
            }
        }
        say(way, &turns, report);
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
    pass_through.process.stop().await?;
    stoa.process.stop().await
}

/// Stoa's turns, each with what it is compared with.
#[derive(Default)]
struct Turns {
    minimal: Vec<(Cost, Cost)>,
    passed: Vec<(Cost, Cost)>,
    direct: Vec<(Cost, Cost)>,
}

fn say(way: &Way, turns: &Turns, report: &mut Report) {
    report.section(
        &format!(
            "Chats at 64 at once, {}: Stoa over a minimal saved chat with {} connections",
            way.name,
            CONNECTIONS * way.clients
        ),
        ["Stoa", "minimal"],
    );
    let of = |of: fn(&Cost) -> f64| pairs(&turns.minimal, of);
    report.pairs("chats a second", &of(|cost| cost.rate), a_second, "");
    let times = [
        ("processor time a chat, server", of(|cost| cost.server)),
        ("the same, PostgreSQL", of(|cost| cost.postgres)),
        ("the same, client", of(|cost| cost.client)),
    ];
    for (name, times) in &times {
        report.pairs(name, times, milliseconds, "");
    }
    report.section(
        "The same over what keeps nothing: a bare pass-through, and the provider asked directly",
        ["Stoa", "below"],
    );
    for (name, turns) in [
        ("chats a second, pass-through", &turns.passed),
        ("the same, directly", &turns.direct),
    ] {
        report.pairs(name, &pairs(turns, |cost| cost.rate), a_second, "");
    }
    let passed = pairs(&turns.passed, |cost| cost.server);
    report.pairs("processor time a chat, server", &passed, milliseconds, "");
    let direct = |of: fn(&Cost) -> f64| pairs(&turns.direct, of).below().median();
    report.remark(&format!(
        "Asked directly, the fake takes {} of processor time a chat and the client {}.",
        milliseconds(direct(|cost| cost.server)),
        milliseconds(direct(|cost| cost.client)),
    ));
}
