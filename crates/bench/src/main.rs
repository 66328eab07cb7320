//! The figures: what Stoa costs over doing without it, each as a ratio within one run.
//!
//! Everything runs as in production: the release binary `stoa serve` in a process of its own, on a
//! PostgreSQL that waits for the disk, asked over sockets. What it is compared with runs beside it,
//! on the same PostgreSQL and against the same fake provider, and is asked by the same client; the
//! two take turns, so that whatever else the machine does meets both. Figures are for people to
//! read and are no tests: another machine has others.

mod client;
mod fake;
mod figures;
mod ground;
mod measured;
mod minimal;
mod passthrough;
mod process;
mod report;
mod stoa;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use figures::Amount;
use report::Report;

/// Measures what Stoa costs.
#[derive(Parser)]
#[command(name = "stoa-bench")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// A few requests only, to see that it works; the figures then say nothing
    #[arg(long)]
    smoke: bool,
    /// Only the figures whose names contain this: first-token, chats, tokens, streams, stop, memory,
    /// clients, migrations, recovery
    #[arg(long, default_value = "")]
    only: String,
    /// The server that is measured; else the `stoa` beside this program
    #[arg(long, env = "STOA_BENCH_BINARY")]
    stoa: Option<PathBuf>,
}

/// The processes beside Stoa, which this program starts from itself.
#[derive(Subcommand)]
enum Part {
    /// The fake AI provider
    #[command(hide = true)]
    Fake,
    /// The handler that keeps chats and that Stoa is compared with
    #[command(hide = true)]
    Minimal(minimal::Arguments),
    /// The handler that keeps nothing
    #[command(hide = true)]
    PassThrough(passthrough::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.part {
        Some(Part::Fake) => fake::serve().await,
        Some(Part::Minimal(of)) => minimal::serve(of).await,
        Some(Part::PassThrough(of)) => passthrough::serve(of).await,
        None => tokio::select! {
            done = measure(arguments) => done,
            // The processes end with what holds them.
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::tell(&format!("stoa-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: Arguments) -> Result<()> {
    let binary = match arguments.stoa {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("stoa"),
    };
    anyhow::ensure!(
        binary.exists(),
        "there is no {}: build it with `make build`",
        binary.display()
    );
    let amount = match arguments.smoke {
        true => Amount::SMOKE,
        false => Amount::FULL,
    };
    process::raise_open_files()?;
    let wanted = |name: &str| name.contains(&arguments.only);
    let ground = ground::Ground::prepare(binary).await?;
    let mut report = Report::begin(&ground).await?;
    if wanted("first-token") {
        let first_token = figures::first_token::measure(&ground, amount, &mut report);
        first_token.await.context("time to first token")?;
    }
    if wanted("chats") {
        let chats = figures::chats::measure(&ground, amount, &mut report);
        chats.await.context("chats per second")?;
    }
    if wanted("tokens") {
        let tokens = figures::tokens::measure(&ground, amount, &mut report);
        tokens.await.context("processor time of tokens")?;
    }
    if wanted("streams") {
        let streams = figures::streams::measure(&ground, amount, &mut report);
        streams.await.context("memory of open streams")?;
    }
    if wanted("stop") {
        let stop = figures::stop::measure(&ground, amount, &mut report);
        stop.await.context("time until an answer is stopped")?;
    }
    if wanted("memory") {
        let memory = figures::memory::measure(&ground, amount, &mut report);
        memory.await.context("memory of idle instances")?;
    }
    if wanted("clients") {
        let clients = figures::clients::measure(&ground, amount, &mut report);
        clients.await.context("many clients' databases")?;
    }
    if wanted("migrations") {
        let migrations = figures::migrations::measure(&ground, amount, &mut report);
        migrations.await.context("migrations a minute")?;
    }
    if wanted("recovery") {
        let recovery = figures::recovery::measure(&ground, amount, &mut report);
        recovery.await.context("recovery after an outage")?;
    }
    report.end();
    ground.clear().await
}
