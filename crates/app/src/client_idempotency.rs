//! `Idempotency-Key` on what creates something in a client's database: the same request sent again
//! within a day gets the same answer, and its effect once. What the
//! platform creates: [`platform_idempotency`](crate::platform_idempotency).

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stoa_client_db::idempotency::{self, Begun, IdempotentRequest, Since};
use stoa_client_db::{ClientDbError, PooledConnection};
use stoa_domain::seal::SealError;
use stoa_platform_db::DbError;

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;

/// How long an answer is given again.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a request may be worked on; then its process is taken for dead.
const AT_WORK: Duration = Duration::from_secs(120);

/// A request that carries a key.
#[derive(Clone, Debug)]
pub struct KeyedRequest {
    scope: String,
    key: String,
    request_hash: [u8; 32],
}

/// An answer that was given before.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// Why a request is not to be worked on.
#[derive(Debug, thiserror::Error)]
pub enum IdempotencyError {
    /// The key was used for another request.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// The first request with this key is still at work.
    #[error("the first request with this idempotency key is still at work")]
    InProgress,
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
    /// The kept answer does not open.
    #[error("the kept answer does not open")]
    Sealed(#[from] SealError),
}

impl From<ClientDbError> for IdempotencyError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

impl KeyedRequest {
    /// A request to `scope` (method and path) with this key and these parts of its body.
    #[must_use]
    pub fn new(scope: String, key: String, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // With its length, so that no byte can belong to either of two parts.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            scope,
            key,
            request_hash: hash.finalize().into(),
        }
    }

    /// Claims the key, or gives what was answered before. After a claim comes [`Self::finish`] or
    /// [`Self::abandon`].
    ///
    /// # Errors
    /// When the key is in use for another request or this very moment, or the database fails.
    pub async fn begin(
        &self,
        app: &App,
        caller: &ClientCaller,
    ) -> Result<Option<GivenAnswer>, IdempotencyError> {
        let connection = app.checkout(caller.registered()).await?;
        let now = app.clock().now();
        let since = Since {
            answered: now - KEPT,
            claimed: now - AT_WORK,
        };
        match idempotency::begin(&connection, &self.stored(), since, now).await? {
            Begun::New => {
                idempotency::sweep(&connection, now - KEPT).await?;
                Ok(None)
            }
            Begun::Answered { status, response } => Ok(Some(GivenAnswer {
                status,
                body: response,
            })),
            Begun::Mismatch => Err(IdempotencyError::Reused),
            Begun::InProgress => Err(IdempotencyError::InProgress),
        }
    }

    /// Keeps the answer, as it is: it may hold no secret.
    pub async fn finish(&self, app: &App, caller: &ClientCaller, answer: &GivenAnswer) {
        let kept = async {
            let connection = self.connection(app, caller).await?;
            idempotency::finish(&connection, &self.stored(), answer.status, &answer.body).await?;
            Ok(())
        };
        self.log(kept.await, caller);
    }

    /// Gives the key back after a request without effect.
    pub async fn abandon(&self, app: &App, caller: &ClientCaller) {
        let given_back = async {
            let connection = self.connection(app, caller).await?;
            idempotency::abandon(&connection, &self.stored()).await?;
            Ok(())
        };
        self.log(given_back.await, caller);
    }

    async fn connection(
        &self,
        app: &App,
        caller: &ClientCaller,
    ) -> Result<PooledConnection, IdempotencyError> {
        Ok(app.checkout(caller.registered()).await?)
    }

    /// The work itself is done: that its key was not noted is for the log.
    fn log(&self, outcome: Result<(), IdempotencyError>, caller: &ClientCaller) {
        if let Err(error) = outcome {
            let instance = caller.instance();
            tracing::warn!(%instance, scope = self.scope, %error, "an idempotency key was not noted");
        }
    }

    fn stored(&self) -> IdempotentRequest<'_> {
        IdempotentRequest {
            scope: &self.scope,
            key: &self.key,
            request_hash: &self.request_hash,
        }
    }
}
