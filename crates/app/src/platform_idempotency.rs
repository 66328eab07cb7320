//! `Idempotency-Key` on what the platform creates. The answers may hold a token that is shown once,
//! so they are kept in the platform's database, sealed.

use chrono::TimeDelta;
use stoa_domain::seal::{PlatformPlace, SealError};
use stoa_platform_db::idempotency_keys::{self, IdempotentRequest};
use stoa_platform_db::master_keys::AnswerKey;
use zeroize::Zeroizing;

use crate::App;
use crate::client_idempotency::IdempotencyError;

/// For how long an answer is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// For how long a request is taken to be at work; making a database takes a minute at most.
const AT_WORK: TimeDelta = TimeDelta::minutes(5);

/// A request that carries a key.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose key it is and for what: caller, method and path.
    pub scope: String,
    /// The key that the caller chose.
    pub key: String,
    /// The SHA-256 of the request's body.
    pub body_hash: [u8; 32],
}

/// What is to be done with a request.
pub enum Begun {
    /// It is the first: do it, then [`finish`] or [`abandon`].
    New,
    /// It was answered before, like this.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The answer's body.
        body: Zeroizing<Vec<u8>>,
    },
}

impl Request {
    fn as_stored(&self) -> IdempotentRequest<'_> {
        IdempotentRequest {
            scope: &self.scope,
            key: &self.key,
            request_hash: &self.body_hash,
        }
    }

    fn row(&self) -> String {
        row_of(&self.scope, &self.key)
    }
}

/// Claims the key, or finds the answer that was given before.
///
/// # Errors
/// When the first request is at work, the key was used for another one, or the database fails.
pub async fn begin(app: &App, request: &Request) -> Result<Begun, IdempotencyError> {
    let now = app.clock().now();
    let begun = {
        let mut connection = app.platform().acquire().await?;
        let stored = request.as_stored();
        idempotency_keys::begin(&mut connection, &stored, now, now + AT_WORK, now + KEPT).await?
    };
    match begun {
        idempotency_keys::Begun::New => Ok(Begun::New),
        idempotency_keys::Begun::InProgress => Err(IdempotencyError::InProgress),
        idempotency_keys::Begun::Mismatch => Err(IdempotencyError::Reused),
        idempotency_keys::Begun::Answered { status, response } => {
            let row = request.row();
            let body = app.keys().open(&place(&row), &response)?;
            Ok(Begun::Answered { status, body })
        }
    }
}

/// Keeps the answer for whoever sends the request again.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    app: &App,
    request: &Request,
    status: u16,
    body: &[u8],
) -> Result<(), IdempotencyError> {
    let row = request.row();
    let sealed = app.keys().seal(&place(&row), body, app.random())?;
    let mut connection = app.platform().acquire().await?;
    idempotency_keys::finish(&mut connection, &request.as_stored(), status, &sealed).await?;
    Ok(())
}

/// Gives the key of a request back that had no effect.
///
/// # Errors
/// When the database fails.
pub async fn abandon(app: &App, request: &Request) -> Result<(), IdempotencyError> {
    let mut connection = app.platform().acquire().await?;
    idempotency_keys::abandon(&mut connection, &request.as_stored()).await?;
    Ok(())
}

/// A kept answer sealed anew, by the newest master key.
///
/// # Errors
/// When it does not open.
pub(crate) fn reseal(app: &App, name: &AnswerKey, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let row = row_of(&name.scope, &name.key);
    let body = app.keys().open(&place(&row), sealed)?;
    app.keys().seal(&place(&row), &body, app.random())
}

fn row_of(scope: &str, key: &str) -> String {
    format!("{scope}|{key}")
}

const fn place(row: &str) -> PlatformPlace<'_> {
    PlatformPlace {
        table: "idempotency_keys",
        column: "response",
        row,
    }
}
