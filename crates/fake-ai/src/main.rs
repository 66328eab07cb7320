//! The fake provider as a program.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use stoa_fake_ai::{Behaviour, FakeAi};

/// A fake AI provider that speaks OpenAI's API.
#[derive(Parser)]
#[command(name = "fake-ai")]
struct Arguments {
    /// Where to listen.
    #[arg(long, env = "FAKE_AI_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// How to behave, such as `delay=200,rate=50`.
    #[arg(long, default_value = "")]
    behaviour: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fake-ai: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let behaviour = Behaviour::parse(&arguments.behaviour)?;
    let fake = FakeAi::listen(arguments.listen).await?;
    fake.set_behaviour(behaviour);
    say(&format!("base URL: {}", fake.base_url()));
    tokio::signal::ctrl_c().await?;
    fake.stop().await;
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "a program that talks to whoever started it"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
