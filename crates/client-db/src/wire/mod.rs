//! From an address to a signed-in PostgreSQL connection, bounded at every step.

mod guard;
mod tls;
mod transport;

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use stoa_outbound::Outbound;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{
    Client, Config,
    config::{ChannelBinding, SslMode, SslNegotiation},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub(crate) use guard::{Budget, WireViolation};
use guard::{GuardedStream, Ready};
use transport::negotiate;

use crate::{
    address::{DatabaseAddress, TlsMode},
    error::ClientDbError,
};

/// How long each step may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the name to a signed-in connection.
    pub connect: Duration,
    /// One statement with its answer.
    pub statement: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(10),
        }
    }
}

/// A signed-in connection. Dropping it ends the task that drives it, whatever the server does.
pub(crate) struct Wire {
    pub(crate) client: Client,
    pub(crate) budget: Arc<Budget>,
    pub(crate) encrypted: bool,
    _driver: DropGuard,
}

/// How long a connection that is let go may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(200);

/// Connects and signs in within `deadlines.connect`.
pub(crate) async fn connect(
    outbound: &Outbound,
    address: &DatabaseAddress,
    deadlines: Deadlines,
    tasks: &TaskTracker,
) -> Result<Wire, ClientDbError> {
    require_tls(outbound, address)?;
    let until = Instant::now() + deadlines.connect;
    let opened = if address.is_operators() {
        outbound
            .connect_to_operators_host(address.host(), address.port(), deadlines.connect)
            .await
    } else {
        outbound
            .connect(address.host(), address.port(), deadlines.connect)
            .await
    };
    let stream = opened.map_err(ClientDbError::Unreachable)?;

    let late = |_| ClientDbError::Timeout(deadlines.connect);
    let transport = timeout_at(until, negotiate(stream, address))
        .await
        .map_err(late)??;
    let encrypted = transport.is_encrypted();
    let budget = Arc::new(Budget::default());
    let guarded = GuardedStream::new(transport, Arc::clone(&budget));
    // The transport is ready as it is: direct negotiation makes the driver ask only `Ready` for
    // it, and so lets the driver see the channel binding of the TLS that we have agreed upon.
    let signed_in = timeout_at(until, config(address).connect_raw(guarded, Ready))
        .await
        .map_err(late)?;
    let (client, connection) = signed_in.map_err(|error| match budget.violation() {
        Some(violation) => violation.into(),
        None => ClientDbError::from_sign_in(&error),
    })?;

    let ended = CancellationToken::new();
    let token = ended.clone();
    tasks.spawn(async move {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // An error here reaches the statement that was under way, and is handled there.
            _ = &mut connection => {}
            () = token.cancelled() => {
                let _ = tokio::time::timeout(GOODBYE, &mut connection).await;
            }
        }
    });
    Ok(Wire {
        client,
        budget,
        encrypted,
        _driver: ended.drop_guard(),
    })
}

/// Less than verified TLS is for hosts on the operator's list as it is now.
fn require_tls(outbound: &Outbound, address: &DatabaseAddress) -> Result<(), ClientDbError> {
    let allowed = address.tls() == TlsMode::Verify
        || address.is_operators()
        || outbound.policy().lists(address.host(), address.port());
    if allowed {
        Ok(())
    } else {
        Err(ClientDbError::TlsRequired)
    }
}

fn config(address: &DatabaseAddress) -> Config {
    let mut config = Config::new();
    config
        .user(address.user())
        .dbname(address.database())
        .application_name("stoa")
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    if address.requires_binding() {
        config.channel_binding(ChannelBinding::Require);
    }
    // Always a password, if an empty one: the driver must not look for one elsewhere.
    let password = address.password().map_or("", |it| it.expose_secret());
    config.password(password);
    config
}
