//! How long it takes from the moment that a client's database is back to the first good answer.
//!
//! A visitor asks all the time, as a page that is open does. While the database is away, it is left
//! alone for a growing rest between two tries, so a longer outage may take longer to be noticed to
//! be over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use secrecy::ExposeSecret as _;
use serde_json::json;
use stoa_fake_postgres::{Behaviour, Proxy};

use super::Amount;
use crate::client::{Conversation, Http};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::Pairs;
use crate::report::{Report, milliseconds};
use crate::stoa::{Platform, Stoa};

/// How long the database is away.
const OUTAGES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];
/// How long the visitor waits before asking again.
const PAUSE: Duration = Duration::from_millis(20);
/// After which it counts as not coming back.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "recovery").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let url = ground.database("recovery_of_a_client").await?;
    let real = url.expose_secret().split(['@', '/']).nth(3);
    let proxy = Proxy::start(real.context("no host in the address")?).await?;
    let database = json!({ "mode": "external", "url": proxy.url(url.expose_secret()) });
    let instance = stoa.instance_on(&database, &platform, &fake, &http).await?;
    let conversation = instance.conversations(&http, 1).await?.remove(0);
    http.ask(&conversation).await?;
    report.section(
        "From \"the database is back\" to the first good answer, over the time it was away",
        ["until good", "away"],
    );
    for outage in OUTAGES {
        let mut turns = Vec::new();
        for _ in 0..amount.rounds.min(3) {
            proxy.set(Behaviour::Dead).await;
            let failed = ask_for(&http, &conversation, outage).await;
            ensure!(failed > 0, "the database was away, and nobody noticed");
            proxy.set(Behaviour::Well).await;
            let took = until_good(&http, &conversation).await?;
            turns.push((took.as_secs_f64(), outage.as_secs_f64()));
        }
        let name = format!("away for {} s", outage.as_secs());
        report.pairs(&name, &Pairs::of(turns), milliseconds, "");
    }
    stoa.process.stop().await
}

/// Asks for so long, and says how often there was no good answer.
async fn ask_for(http: &Http, of: &Conversation, time: Duration) -> usize {
    let started = Instant::now();
    let mut failed = 0;
    while started.elapsed() < time {
        failed += usize::from(http.read(of).await.is_err());
        tokio::time::sleep(PAUSE).await;
    }
    failed
}

async fn until_good(http: &Http, of: &Conversation) -> Result<Duration> {
    let started = Instant::now();
    loop {
        match http.read(of).await {
            Ok(()) => return Ok(started.elapsed()),
            Err(error) => ensure!(
                started.elapsed() < PATIENCE,
                "the database is back, and answers do not come back: {error}"
            ),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
