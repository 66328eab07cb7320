//! What it costs that every client has a database of its own: requests a second through many of
//! them in turn over one used alike, and the memory of an open pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use super::{AT_ONCE, Amount};
use crate::client::{Conversation, Http};
use crate::fake::Fake;
use crate::ground::Ground;
use crate::measured::{Pairs, Sample};
use crate::process::{seconds_of, seconds_of_family};
use crate::report::{Report, a_second, kilobytes, megabytes, milliseconds};
use crate::stoa::{Platform, Stoa};

/// How long a server is given to come to rest before its memory is read.
const REST: Duration = Duration::from_secs(4);

/// What a request took in one turn.
#[derive(Clone, Copy)]
struct Cost {
    rate: f64,
    /// Seconds of processor time a request.
    server: f64,
    postgres: f64,
}

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let fake = Fake::start().await?;
    let platform = Platform::create(ground, "clients").await?;
    let stoa = Stoa::start(ground, &platform, &http).await?;
    let mut conversations = Vec::with_capacity(amount.clients);
    for _ in 0..amount.clients {
        let instance = stoa.instance(&platform, &fake, &http).await?;
        conversations.extend(instance.conversations(&http, 1).await?);
    }
    // Everybody has said something, so that there is something to read.
    for conversation in &conversations {
        http.ask(conversation).await?;
    }
    requests(ground, &stoa, &http, &conversations, amount, report).await?;
    stoa.process.stop().await?;
    memory(ground, &platform, &http, &conversations, report).await
}

async fn requests(
    ground: &Ground,
    stoa: &Stoa,
    http: &Http,
    conversations: &[Conversation],
    amount: Amount,
    report: &mut Report,
) -> Result<()> {
    let turn = async |of: &[Conversation]| -> Result<Cost> {
        let used = || -> Result<[f64; 2]> {
            Ok([
                seconds_of(stoa.process.id()?)?,
                seconds_of_family(ground.postgres())?,
            ])
        };
        let before = used()?;
        let elapsed = read_in_turn(http, of, amount.requests).await?;
        let after = used()?;
        let count = amount.requests as f64;
        Ok(Cost {
            rate: count / elapsed.as_secs_f64(),
            server: (after[0] - before[0]) / count,
            postgres: (after[1] - before[1]) / count,
        })
    };
    let mut turns = Vec::new();
    // The first turn opens the pools, and is not counted.
    for round in 0..=amount.rounds {
        let many = turn(conversations).await?;
        let one = turn(&conversations[..1]).await?;
        if round > 0 {
            turns.push((many, one));
        }
    }
    report.section(
        &format!(
            "Reading a conversation, {AT_ONCE} at once: of {} clients in turn, each in a database of its own, over one client's",
            conversations.len()
        ),
        ["many", "one"],
    );
    let pairs = |of: fn(&Cost) -> f64| Pairs::of(turns.iter().map(|(a, b)| (of(a), of(b))));
    report.pairs("requests a second", &pairs(|cost| cost.rate), a_second, "");
    let times = [
        ("processor time, server", pairs(|cost| cost.server)),
        ("the same, PostgreSQL", pairs(|cost| cost.postgres)),
    ];
    for (name, times) in &times {
        report.pairs(name, times, milliseconds, "");
    }
    Ok(())
}

/// The same conversations are read again by a server that has just started, so that what grows is
/// what the open pools, and what is cached of their instances, take.
async fn memory(
    ground: &Ground,
    platform: &Platform,
    http: &Http,
    conversations: &[Conversation],
    report: &mut Report,
) -> Result<()> {
    let others = conversations.len() - 1;
    let mut grown = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..3 {
        let stoa = Stoa::start(ground, platform, http).await?;
        let moved: Vec<Conversation> = conversations
            .iter()
            .map(|conversation| conversation.at(&stoa.process.base))
            .collect();
        read_in_turn(http, &moved[..1], 64).await?;
        tokio::time::sleep(REST).await;
        let before = stoa.process.resident()?;
        // One after the other, so that each pool has one connection.
        for conversation in &moved[1..] {
            http.read(conversation).await?;
        }
        tokio::time::sleep(REST).await;
        let after = stoa.process.resident()?;
        resident.push((after, before));
        grown.push((after - before) / others as f64);
        stoa.process.stop().await?;
    }
    let grown = Sample::of(grown);
    let resident = Pairs::of(resident);
    report.section(
        &format!("Resident memory: with the pools of {others} more clients open over one"),
        ["open", "one"],
    );
    report.pairs(
        "VmRSS of the server",
        &resident,
        megabytes,
        &format!(
            "{} an open pool ({} to {})",
            kilobytes(grown.median()),
            kilobytes(grown.least()),
            kilobytes(grown.most())
        ),
    );
    Ok(())
}

/// Reads `count` times, the conversations in turn, `AT_ONCE` at once.
async fn read_in_turn(http: &Http, of: &[Conversation], count: usize) -> Result<Duration> {
    ensure!(!of.is_empty(), "there is no conversation to read");
    let next = &AtomicUsize::new(0);
    let started = Instant::now();
    let worker = || async move {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return anyhow::Ok(());
            }
            http.read(&of[index % of.len()]).await?;
        }
    };
    try_join_all((0..AT_ONCE).map(|_| worker())).await?;
    Ok(started.elapsed())
}
