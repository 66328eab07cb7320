//! `stoa serve` and `stoa demo`: start in order, serve, and end in the opposite order.

mod connections;
mod listener;
mod termination;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stoa_domain::Random;
use stoa_domain::seal::MasterKeyRing;
use tokio::net::TcpListener;

use crate::application::{Application, Purpose};
use crate::command_line::failure::Failure;
use crate::configuration::Configuration;
use crate::data_directory::DataDirectory;
use crate::databases::Databases;
use crate::doctor::master_key_remedy;
use crate::telemetry;
use connections::Connections;
use termination::Termination;

/// What may take its time when the process ends: answers under way and their saving. With what
/// the databases then take, the process is out within 30 s.
const DRAIN: Duration = Duration::from_secs(25);

/// Serves until the process is asked to end.
pub(crate) async fn run() -> Result<(), Failure> {
    let mut configuration = crate::parse_configuration()?;
    telemetry::start(&configuration.telemetry, None);
    for warning in &configuration.warnings {
        tracing::warn!("{warning}");
    }
    if !configuration.multi_tenant {
        return Err(Failure::new(
            "not_available",
            "this version serves many instances only; a deployment dedicated to one is not available",
        )
        .hint("unset MULTI_TENANT_MODE"));
    }
    let keys = match configuration.master_keys.take() {
        Some(keys) => keys,
        None => DataDirectory::new(&configuration.data_directory)
            .master_keys()
            .map_err(|error| {
                Failure::from_error("no_master_key", &error).hint(master_key_remedy(&error))
            })?,
    };
    Server::start(&configuration, keys).await?.serve().await
}

/// Everything that a running server consists of.
struct Server {
    termination: Termination,
    databases: Databases,
    application: Application,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds, starts the databases and assembles the program. A signal meanwhile ends the start.
    async fn start(configuration: &Configuration, keys: MasterKeyRing) -> Result<Self, Failure> {
        let mut termination =
            Termination::listen().map_err(|error| Failure::from_error("cannot_start", &error))?;
        let (listener, address) = listener::bind(&configuration.host, configuration.port).await?;
        let random = Random::system();
        let databases = tokio::select! {
            opened = Databases::open(configuration, &random) => opened?,
            signal = termination.wait() => return Err(ended_while_starting(signal)),
        };
        let public_url = match &configuration.public_url {
            Some(url) => url.clone(),
            None => listener::local_url(address)?,
        };
        let assembled = tokio::select! {
            assembled = Application::assemble(
                configuration, keys, &databases, public_url, Purpose::Server,
            ) => assembled,
            signal = termination.wait() => Err(ended_while_starting(signal)),
        };
        match assembled {
            Ok(application) => Ok(Self {
                termination,
                databases,
                application,
                listener,
                address,
            }),
            Err(failure) => {
                databases.stop().await?;
                Err(failure)
            }
        }
    }

    async fn serve(self) -> Result<(), Failure> {
        let Self {
            mut termination,
            databases,
            application,
            listener,
            address,
        } = self;
        let app = application.app();
        let served = match application.start_background().await {
            Ok(()) => {
                let router = stoa_web::router(app);
                let limits = listener::connection_limits();
                let connections = Connections::accept(listener, router, limits);
                tracing::info!(%address, url = %app.settings().public_url, "listening");
                let cause = tokio::select! {
                    signal = termination.wait() => Ok(signal),
                    () = databases.ended() => Err(Failure::new(
                        "embedded_postgres",
                        "the embedded PostgreSQL has ended by itself; its server.log in the data directory says why",
                    )),
                };
                tracing::info!(because = cause.as_ref().ok(), "ending");
                // Before anything is closed: readiness is withdrawn and streams say goodbye.
                app.shutdown().cancel();
                Ended {
                    connections: Some(connections),
                    cause: cause.map(drop),
                }
            }
            Err(failure) => Ended {
                connections: None,
                cause: Err(failure),
            },
        };
        // Whoever asks a second time does not want to wait.
        let all_ended = tokio::select! {
            ended = drain(served.connections, application) => ended,
            _ = termination.wait() => false,
        };
        if !all_ended {
            tracing::warn!(
                "not everything had ended; what was under way is mended at the next start"
            );
        }
        let stopped = databases.stop().await;
        served.cause.and(stopped)
    }
}

struct Ended {
    connections: Option<Connections>,
    cause: Result<(), Failure>,
}

async fn drain(connections: Option<Connections>, application: Application) -> bool {
    let begun = Instant::now();
    let drained = match connections {
        Some(connections) => connections.drain(DRAIN).await,
        None => true,
    };
    application.end(DRAIN.saturating_sub(begun.elapsed())).await && drained
}

fn ended_while_starting(signal: &str) -> Failure {
    Failure::new(
        "ended",
        format!("{signal} came before the server had started"),
    )
}
