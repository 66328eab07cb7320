//! How long it takes from a visitor's `stop` until the provider's connection is closed, as the
//! provider sees it.
//!
//! Compared with hanging up on the provider oneself, which shows how soon the fake notices and this
//! program hears of it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Amount;
use crate::client::{Conversation, Http};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::Sample;
use crate::report::{Report, milliseconds, more};
use crate::stoa::{Platform, Stoa};

/// Long enough that no answer ends by itself.
const BEHAVIOUR: &str = "tokens=100000,rate=100";
/// How long an answer has been coming when it is stopped.
const UNDER_WAY: Duration = Duration::from_millis(100);
/// After which it counts as not stopping.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "stop").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let other = Stoa::start(ground, &platform, &http).await?;
    let instance = stoa.instance(&platform, &fake, &http).await?;
    fake.behave(&http, BEHAVIOUR).await?;
    let stopping = Stopping {
        http: &http,
        fake: &fake,
    };
    let (mut here, mut there, mut directly) = (Vec::new(), Vec::new(), Vec::new());
    for conversation in instance.conversations(&http, 2 * amount.stops).await? {
        if here.len() <= there.len() {
            here.push(stopping.stop(&conversation, &conversation).await?);
            directly.push(stopping.hang_up().await?);
        } else {
            let at_other = conversation.at(&other.process.base);
            there.push(stopping.stop(&conversation, &at_other).await?);
        }
    }
    report.section(
        &format!(
            "From `stop` to the provider's connection closed, {} times: over hanging up on the provider oneself",
            amount.stops
        ),
        ["stop", "hanging up"],
    );
    let below = Sample::of(directly);
    for (name, above) in [
        ("at the replica that writes", Sample::of(here)),
        ("at another replica", Sample::of(there)),
    ] {
        for (word, share) in [("median", 0.5), ("most", 1.0)] {
            let (above, below) = (above.at(share), below.at(share));
            let ratio = above / below;
            report.figure(
                &format!("{name}, {word}"),
                [milliseconds(above), milliseconds(below)],
                ratio,
                &Sample::of([ratio]),
                &more(milliseconds, above - below),
            );
        }
    }
    stoa.process.stop().await?;
    other.process.stop().await
}

struct Stopping<'a> {
    http: &'a Http,
    fake: &'a Fake,
}

impl Stopping<'_> {
    /// Asks in a conversation and stops the answer by way of `at`. In seconds.
    async fn stop(&self, conversation: &Conversation, at: &Conversation) -> Result<f64> {
        self.fake.forget(self.http).await?;
        let open = self.http.open(conversation).await?;
        tokio::time::sleep(UNDER_WAY).await;
        let started = Instant::now();
        self.http.stop(at).await?;
        let took = self.until_closed(started).await?;
        drop(open);
        Ok(took)
    }

    /// Asks the provider and hangs up.
    async fn hang_up(&self) -> Result<f64> {
        self.fake.forget(self.http).await?;
        let open = self.http.open(&self.fake.directly()).await?;
        tokio::time::sleep(UNDER_WAY).await;
        let started = Instant::now();
        drop(open);
        self.until_closed(started).await
    }

    async fn until_closed(&self, started: Instant) -> Result<f64> {
        while !self.fake.is_hung_up(self.http).await? {
            ensure!(started.elapsed() < PATIENCE, "the provider is not hung up");
        }
        Ok(started.elapsed().as_secs_f64())
    }
}
