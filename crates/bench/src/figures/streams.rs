//! What an open stream takes of the server's memory: many answers under way at once, from a provider
//! that takes its time.
//!
//! One client may have so many answers written at once by one process, so they are several clients'.

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http, Open};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::{Pairs, Sample};
use crate::passthrough::PassThrough;
use crate::process::Process;
use crate::report::{Report, kilobytes, megabytes};
use crate::stoa::{Instance, Platform, Stoa};

/// Whole at once, for what is asked before; then a token a second for longer than is measured.
const QUICK: &str = "";
const SLOW: &str = "tokens=1000,rate=1";
/// Streams of one client, fewer than it may have.
const OF_A_CLIENT: usize = 200;
/// How long a server is given to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(4);

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "streams").await?;
    let first = Stoa::start(ground, &platform, &http).await?;
    let mut instances = Vec::new();
    for _ in 0..amount.streams.div_ceil(OF_A_CLIENT) {
        instances.push(first.instance(&platform, &fake, &http).await?);
    }
    let (mut resident, mut grown) = (Vec::new(), Vec::new());
    let mut conversations =
        Instance::conversations_of(&instances, &http, amount.streams * ROUNDS).await?;
    first.process.stop().await?;
    let opening = Opening {
        http: &http,
        fake: &fake,
    };
    for _ in 0..ROUNDS {
        let stoa = Stoa::start(ground, &platform, &http).await?;
        let asked: Vec<_> = conversations
            .drain(..amount.streams)
            .map(|conversation| conversation.at(&stoa.process.base))
            .collect();
        let above = opening.run(stoa.process, &asked).await?;
        let pass_through = PassThrough::start(&fake).await?;
        let asked = vec![pass_through.conversation(&fake); amount.streams];
        let below = opening.run(pass_through.process, &asked).await?;
        let each = |(open, before): (f64, f64)| (open - before) / amount.streams as f64;
        grown.push((each(above), each(below)));
        resident.push(above);
    }
    say(
        &Pairs::of(resident),
        &Pairs::of(grown),
        amount.streams,
        report,
    );
    Ok(())
}

/// Servers that are measured one after the other.
const ROUNDS: usize = 3;

struct Opening<'a> {
    http: &'a Http,
    fake: &'a Fake,
}

impl Opening<'_> {
    /// The server's resident memory with all these streams open, and before; ends it.
    async fn run(&self, server: Process, asked: &[Conversation]) -> Result<(f64, f64)> {
        self.fake.behave(self.http, QUICK).await?;
        // One answer of each client, for the pools and what is cached.
        for conversation in asked.iter().take(asked.len().div_ceil(OF_A_CLIENT)) {
            self.http.ask(conversation).await?;
        }
        tokio::time::sleep(REST).await;
        let before = server.resident()?;
        self.fake.behave(self.http, SLOW).await?;
        let open: Vec<Open> = stream::iter(asked)
            .map(|conversation| self.http.open(conversation))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        tokio::time::sleep(REST).await;
        let with = server.resident()?;
        drop(open);
        server.stop().await?;
        Ok((with, before))
    }
}

fn say(resident: &Pairs, grown: &Pairs, streams: usize, report: &mut Report) {
    report.section(
        &format!("Resident memory of the server: with {streams} streams open over none"),
        ["open", "before"],
    );
    report.pairs("Stoa", resident, megabytes, "");
    report.section(
        "Memory of an open stream: through Stoa over a bare pass-through",
        ["Stoa", "pass-through"],
    );
    let of_stoa: Sample = grown.above();
    let spread = format!(
        "Stoa {} to {}",
        kilobytes(of_stoa.least()),
        kilobytes(of_stoa.most())
    );
    report.pairs("VmRSS for each", grown, kilobytes, &spread);
}
