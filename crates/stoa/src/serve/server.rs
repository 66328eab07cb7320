//! Starting in order, serving, and ending in the opposite order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoa_app::{App, start};
use stoa_domain::Random;
use stoa_domain::seal::MasterKeyRing;
use tokio::net::TcpListener;

use super::Role;
use super::connections::Connections;
use super::listener;
use super::metrics;
use super::termination::Termination;
use crate::application::{self, Purpose};
use crate::command_line::failure::Failure;
use crate::configuration::Configuration;
use crate::databases::Databases;
use crate::dedicated;

/// What may take its time when the process ends: answers under way and their saving. With what
/// the databases then take, the process is out within 30 s.
const DRAIN: Duration = Duration::from_secs(25);

/// Everything that a running server consists of.
pub(super) struct Server {
    termination: Termination,
    databases: Databases,
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
    metrics: Option<TcpListener>,
}

impl Server {
    /// Binds, starts the databases and assembles the program. A signal meanwhile ends the start.
    pub(super) async fn start(
        configuration: &Configuration,
        keys: MasterKeyRing,
    ) -> Result<Self, Failure> {
        let mut termination =
            Termination::listen().map_err(|error| Failure::from_error("cannot_start", &error))?;
        let (listener, address) = listener::bind(&configuration.host, configuration.port).await?;
        let metrics = metrics::bind(configuration.metrics).await?;
        let random = Random::system();
        dedicated::examine(configuration).await?;
        let databases = tokio::select! {
            opened = Databases::open(configuration, &random) => opened?,
            signal = termination.wait() => return Err(ended_while_starting(signal)),
        };
        let public_url = match &configuration.public_url {
            Some(url) => url.clone(),
            None => listener::local_url(address)?,
        };
        let started = tokio::select! {
            started = application::start(
                configuration, keys, &databases, public_url, Purpose::Server,
            ) => started,
            signal = termination.wait() => Err(ended_while_starting(signal)),
        };
        let prepared = match (started, &configuration.client) {
            (Ok(app), Some(client)) => dedicated::prepare(&app, client)
                .await
                .and_then(|prepared| dedicated::welcome(&app, &prepared))
                .map(|()| app),
            (started, _) => started,
        };
        match prepared {
            Ok(app) => Ok(Self {
                termination,
                databases,
                app,
                listener,
                address,
                metrics,
            }),
            Err(failure) => {
                databases.stop().await?;
                Err(failure)
            }
        }
    }

    /// Serves, and does `first` once it does, until a signal, the end of the embedded PostgreSQL or a
    /// failure of `first`; then ends everything in order.
    pub(super) async fn serve(
        self,
        role: Role,
        first: impl AsyncFnOnce(&Arc<App>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self {
            mut termination,
            databases,
            app,
            listener,
            address,
            metrics,
        } = self;
        let background = start::background(&app, role != Role::Web).await;
        let (connections, cause) = match background {
            Ok(()) => {
                let router = match role {
                    Role::All | Role::Web => stoa_web::router(&app),
                    Role::Worker => stoa_web::health_router(&app),
                };
                let limits = listener::connection_limits();
                let connections = Connections::accept(listener, router, limits);
                let collectors = metrics.map(|it| metrics::serve(it, &app, connections.tasks()));
                tracing::info!(%address, url = %app.settings().public_url, "listening");
                let cause = tokio::select! {
                    signal = termination.wait() => { tracing::info!(signal, "ending"); Ok(()) }
                    () = databases.ended() => Err(postgres_ended()),
                    failure = failure_of(Box::pin(first(&app))) => Err(failure),
                };
                if let Some(collectors) = collectors {
                    collectors.drain(Duration::ZERO).await;
                }
                (Some(connections), cause)
            }
            Err(error) => (None, Err(Failure::from_error("platform_database", &error))),
        };
        // Before anything is closed, readiness is withdrawn and streams say goodbye.
        app.shutdown().cancel();
        // Whoever asks a second time does not want to wait.
        let all_ended = tokio::select! {
            ended = drain(connections, &app) => ended,
            _ = termination.wait() => false,
        };
        if !all_ended {
            tracing::warn!("not everything had ended; the next start mends what was under way");
        }
        let stopped = databases.stop().await;
        cause.and(stopped)
    }
}

/// Returns only when the work fails.
async fn failure_of(work: impl Future<Output = Result<(), Failure>>) -> Failure {
    match work.await {
        Ok(()) => std::future::pending().await,
        Err(failure) => failure,
    }
}

async fn drain(connections: Option<Connections>, app: &App) -> bool {
    let begun = Instant::now();
    let drained = match connections {
        Some(connections) => connections.drain(DRAIN).await,
        None => true,
    };
    application::end(app, DRAIN.saturating_sub(begun.elapsed())).await && drained
}

fn postgres_ended() -> Failure {
    Failure::new(
        "embedded_postgres",
        "the embedded PostgreSQL has ended by itself",
    )
    .hint("postgres/server.log in the data directory says why")
}

fn ended_while_starting(signal: &str) -> Failure {
    Failure::new(
        "ended",
        format!("{signal} came before the server had started"),
    )
}
