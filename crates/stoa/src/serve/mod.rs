//! `stoa serve` and `stoa demo`: a server from its configuration until it is asked to end.

mod connections;
mod listener;
mod metrics;
mod server;
mod termination;

use stoa_domain::Random;
use stoa_outbound::AddressPolicy;

use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;
use crate::configuration::Configuration;
use crate::{demo, master_key, telemetry};
use server::Server;

/// What a process does; a deployment may divide the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Pages, APIs and background work
    All,
    /// Pages and APIs only
    Web,
    /// Background work only; answers /healthz and /readyz
    Worker,
}

/// `stoa serve`: serves until the process is asked to end.
pub(crate) async fn run(role: Role) -> Result<(), Failure> {
    let mut configuration = configuration()?;
    let keys = master_key::of(&mut configuration)?;
    let server = Server::start(&configuration, keys).await?;
    server.serve(role, async |_| Ok(())).await
}

/// `stoa demo`: the same on the embedded PostgreSQL, with a master key of its own and something to
/// show.
pub(crate) async fn run_demo(output: OutputArguments) -> Result<(), Failure> {
    let mut configuration = configuration()?;
    if configuration.platform_database.is_some()
        || configuration.managed_database.is_some()
        || configuration.client.is_some()
    {
        return Err(Failure::new(
            "not_for_a_demo",
            "a demo makes admins and clients with known names, so it runs on the embedded PostgreSQL only",
        )
        .hint("unset PLATFORM_DATABASE_URL, STOA_MANAGED_DATABASE_URL and MULTI_TENANT_MODE, or use `stoa serve`"));
    }
    let keys = master_key::of_or_new(&mut configuration, &Random::system())?;
    // An Ollama or a PostgreSQL on the same machine is what people try first.
    configuration
        .allowed_private_hosts
        .get_or_insert_with(AddressPolicy::loopback);
    let server = Server::start(&configuration, keys).await?;
    let serving = server.serve(Role::All, async |app| demo::prepare(app, output).await);
    Box::pin(serving).await
}

fn configuration() -> Result<Configuration, Failure> {
    let configuration = crate::parse_configuration()?;
    telemetry::start(&configuration.telemetry, None);
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    Ok(configuration)
}
