//! Asking a server to stop a statement that nobody waits for any more.
//!
//! A statement whose deadline has passed, or whose caller has gone, would go on burning the
//! client's server. PostgreSQL takes the request to stop it on a connection of its own, which goes
//! through the same door as the first, is encrypted where the first was, and is answered by nothing.

use std::{sync::Arc, time::Duration};

use stoa_outbound::Outbound;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::CancelToken;
use tokio_util::{sync::DropGuard, task::TaskTracker};

use super::{guard::Ready, open};
use crate::{
    address::DatabaseAddress,
    error::{ClientDbError, TlsFault},
};

/// What it takes to stop the statements of one connection.
pub(super) struct Canceller {
    pub(super) outbound: Outbound,
    pub(super) address: DatabaseAddress,
    pub(super) tasks: TaskTracker,
    /// The process and its secret, as the server gave them.
    pub(super) token: CancelToken,
    /// Whether the connection is encrypted, and so whether the secret may be said in the clear.
    pub(super) encrypted: bool,
    pub(super) within: Duration,
}

impl Canceller {
    /// Begins to stop the statement and returns. `connection` is kept open until the request is
    /// sent: a pooler that has lost its client knows of no statement to stop.
    pub(super) fn cancel(&self, connection: Arc<DropGuard>) {
        let (outbound, address) = (self.outbound.clone(), self.address.clone());
        let (token, encrypted, within) = (self.token.clone(), self.encrypted, self.within);
        self.tasks.spawn(async move {
            let sent = send(&outbound, &address, &token, encrypted, within).await;
            drop(connection);
            if let Err(error) = sent {
                tracing::debug!(code = error.code(), "a statement was left running");
            }
        });
    }
}

async fn send(
    outbound: &Outbound,
    address: &DatabaseAddress,
    token: &CancelToken,
    encrypted: bool,
    within: Duration,
) -> Result<(), ClientDbError> {
    let until = Instant::now() + within;
    let transport = open(outbound, address, until, within).await?;
    if encrypted && !transport.is_encrypted() {
        return Err(ClientDbError::without_tls(
            TlsFault::NotOffered,
            "it offered TLS before and does not now",
        ));
    }
    timeout_at(until, token.cancel_query_raw(transport, Ready))
        .await
        .map_err(|_| ClientDbError::Timeout(within))?
        .map_err(|_| ClientDbError::ConnectionLost)
}
