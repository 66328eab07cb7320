//! From an address to a signed-in PostgreSQL connection, bounded at every step.

mod budget;
mod cancel;
mod guard;
mod reader;
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

pub(crate) use budget::{Budget, WireViolation};
use cancel::Canceller;
use guard::{GuardedStream, Ready};
use transport::{Transport, negotiate};

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
    canceller: Canceller,
    driver: Arc<DropGuard>,
}

impl Wire {
    /// Asks the server to stop the statement that is under way, for which nobody waits any more.
    /// Returns at once; it is done in the background, within the deadline for connecting.
    pub(crate) fn cancel(&self) {
        // A closed connection has no statement, and a server that broke the rules gets no favours.
        if !self.client.is_closed() && self.budget.violation().is_none() {
            self.canceller.cancel(Arc::clone(&self.driver));
        }
    }
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
    let until = Instant::now() + deadlines.connect;
    let transport = open(outbound, address, until, deadlines.connect).await?;
    let late = |_| ClientDbError::Timeout(deadlines.connect);
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
    let canceller = Canceller {
        outbound: outbound.clone(),
        address: address.clone(),
        tasks: tasks.clone(),
        token: client.cancel_token(),
        encrypted,
        within: deadlines.connect,
    };
    Ok(Wire {
        client,
        budget,
        encrypted,
        canceller,
        driver: Arc::new(ended.drop_guard()),
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

/// A connection through the door on which encryption is settled.
async fn open(
    outbound: &Outbound,
    address: &DatabaseAddress,
    until: Instant,
    within: Duration,
) -> Result<Transport, ClientDbError> {
    require_tls(outbound, address)?;
    let (host, port) = (address.host(), address.port());
    let left = until.saturating_duration_since(Instant::now());
    let opened = if address.is_operators() {
        outbound.connect_to_operators_host(host, port, left).await
    } else {
        outbound.connect(host, port, left).await
    };
    let stream = opened.map_err(ClientDbError::Unreachable)?;
    timeout_at(until, negotiate(stream, address))
        .await
        .map_err(|_| ClientDbError::Timeout(within))?
}

/// Reads along with `bytes` in steps of `step`.
#[cfg(fuzzing)]
pub(crate) fn follow(bytes: &[u8], step: usize) -> Result<bool, WireViolation> {
    let budget = Budget::default();
    let mut reader = reader::MessageReader::default();
    for piece in bytes.chunks(step) {
        reader.follow(piece, &budget)?;
    }
    Ok(reader.signed_in)
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
