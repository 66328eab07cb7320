//! Signals between replicas over `LISTEN`/`NOTIFY`. They carry ids only, and are hints: whoever
//! gets one reads the truth from a table.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgConnection, query};
use stoa_domain::{InstanceId, MessageId, SessionId};

use crate::DbError;

/// The channel that everything goes over.
pub const CHANNEL: &str = "stoa_signals";

const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// A connection that has been silent this long is asked whether it still lives, since a peer that
/// vanished without a word looks just like one that has nothing to say.
const PROBE_AFTER: Duration = Duration::from_secs(20);
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// What happened, to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Signal {
    /// An instance's registry row changed: its status, its plan, its database.
    InstanceChanged(InstanceId),
    /// An instance's settings in its own database changed.
    ConfigurationChanged(InstanceId),
    /// The answer in this conversation is to stop.
    StopSession(SessionId),
    /// Something new in this conversation: an agent's reply, another status.
    SessionChanged(SessionId),
    /// The visitor has said whether a call of this answer may be made.
    CallDecided(MessageId),
    /// Somebody listens to this answer on another replica than the one that writes it.
    AnswerFollowed(MessageId),
    /// There is work in the queue.
    JobReady,
    /// The connection was lost and is back: signals may have been missed, so whatever is cached on
    /// their account must be dropped. Made here, never sent.
    #[serde(skip)]
    Reconnected,
}

/// Sends a signal when the caller's transaction commits. The same signal sent twice in one
/// transaction arrives once.
///
/// # Errors
/// When the database fails.
pub async fn send(connection: &mut PgConnection, signal: Signal) -> Result<(), DbError> {
    let Ok(payload) = serde_json::to_string(&signal) else {
        return Ok(());
    };
    query!("SELECT pg_notify($1, $2)", CHANNEL, payload)
        .execute(connection)
        .await?;
    Ok(())
}

/// Sends a signal if a statement changed anything, and says whether it did.
pub(crate) async fn send_if(
    connection: &mut PgConnection,
    rows: u64,
    signal: Signal,
) -> Result<bool, DbError> {
    if rows > 0 {
        send(connection, signal).await?;
    }
    Ok(rows > 0)
}

/// A subscription that survives lost connections.
pub struct Signals {
    options: PgConnectOptions,
    listener: Option<PgListener>,
}

impl Signals {
    pub(crate) async fn listen(options: PgConnectOptions) -> Result<Self, DbError> {
        let listener = Some(subscribe(&options).await?);
        Ok(Self { options, listener })
    }

    /// The next signal; waits for as long as there is none.
    pub async fn recv(&mut self) -> Signal {
        loop {
            let Some(listener) = &mut self.listener else {
                self.reconnect().await;
                return Signal::Reconnected;
            };
            match next(listener).await {
                Some(Received::Signal(signal)) => return signal,
                Some(Received::Unknown | Received::Silence) => {}
                None => self.listener = None,
            }
        }
    }

    async fn reconnect(&mut self) {
        loop {
            match subscribe(&self.options).await {
                Ok(listener) => {
                    self.listener = Some(listener);
                    return;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot listen for signals; trying again"
                    );
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }
}

enum Received {
    Signal(Signal),
    /// From a newer version, or from somebody else on the channel.
    Unknown,
    Silence,
}

/// The next notification; `None` when the connection is lost.
async fn next(listener: &mut PgListener) -> Option<Received> {
    match tokio::time::timeout(PROBE_AFTER, listener.try_recv()).await {
        Ok(Ok(Some(notification))) => Some(
            serde_json::from_str(notification.payload())
                .map_or(Received::Unknown, Received::Signal),
        ),
        Ok(Ok(None) | Err(_)) => None,
        Err(_silent) => {
            let probe = sqlx::query("SELECT 1").execute(listener);
            match tokio::time::timeout(PROBE_DEADLINE, probe).await {
                Ok(Ok(_)) => Some(Received::Silence),
                _ => None,
            }
        }
    }
}

async fn subscribe(options: &PgConnectOptions) -> Result<PgListener, DbError> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(PROBE_DEADLINE)
        .connect_with(options.clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
