//! `Idempotency-Key` on calls that create something in a client's database.
//!
//! A handler takes [`Once<T>`] in place of `Body<T>` and does its work in [`Once::run`]; one whose
//! body is no JSON takes a [`Key`] and makes a [`Once`] of what it read. With the
//! header, the work happens once for a key and its answer is given again for 24 hours; without it,
//! every time. The work goes on when its caller hangs up, so that the caller finds the answer when
//! it comes again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stoa_app::App;
use stoa_app::access::ClientCaller;
use stoa_app::client_idempotency::{GivenAnswer, IdempotencyError, KeyedRequest};
use tracing::Instrument as _;

use super::body::{self, require_json};
use super::problem::Problem;
use super::request_id;

const HEADER: &str = "idempotency-key";
const LONGEST_KEY: usize = 255;
/// Says that an answer is one that was given before.
pub(super) const REPLAYED: &str = "idempotent-replayed";

/// What a request says about being done once, before its body is read.
pub(crate) struct Key {
    scope: String,
    key: Option<String>,
}

impl Key {
    /// The key of this request, if it carries one.
    pub(crate) fn of(request: &Request) -> Result<Self, Problem> {
        Ok(Self {
            scope: format!("{} {}", request.method(), request.uri().path()),
            key: key(request)?,
        })
    }

    /// With the body: `parts` are what makes it the same body when it is sent again.
    pub(crate) fn with<T>(self, body: T, parts: impl FnOnce(&T) -> Vec<&[u8]>) -> Once<T> {
        let keyed = self
            .key
            .map(|key| KeyedRequest::new(self.scope, key, &parts(&body)));
        Once { body, keyed }
    }
}

/// A JSON body whose request may carry an `Idempotency-Key`.
pub(crate) struct Once<T> {
    body: T,
    keyed: Option<KeyedRequest>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Once<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        let Key { scope, key } = Key::of(&request)?;
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| body::unread(&rejection))?;
        Ok(Self {
            body: body::parse(&bytes)?,
            keyed: key.map(|key| KeyedRequest::new(scope, key, &[&bytes])),
        })
    }
}

impl<T> Once<T> {
    /// Does the work and answers with `status` and what it gives, or answers as before. What it
    /// gives is stored as it is, so it may hold no secret.
    pub(crate) async fn run<A, W, F>(
        self,
        app: &Arc<App>,
        caller: &ClientCaller,
        status: StatusCode,
        work: W,
    ) -> Result<Response, Problem>
    where
        A: Serialize + Send + 'static,
        W: FnOnce(Arc<App>, ClientCaller, T) -> F,
        F: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let work = work(Arc::clone(app), caller.clone(), self.body);
        let Some(keyed) = self.keyed else {
            return Ok((status, axum::Json(work.await?)).into_response());
        };
        if let Some(given) = keyed.begin(app, caller).await? {
            let mut response = answer(&given);
            let replayed = HeaderValue::from_static("true");
            response.headers_mut().insert(REPLAYED, replayed);
            return Ok(response);
        }
        let (app, caller) = (Arc::clone(app), caller.clone());
        let tasks = app.tasks().clone();
        let done = async move {
            match work.await.and_then(|given| given_answer(status, &given)) {
                Ok(given) => {
                    keyed.finish(&app, &caller, &given).await;
                    Ok(answer(&given))
                }
                Err(problem) => {
                    keyed.abandon(&app, &caller).await;
                    Err(problem)
                }
            }
        };
        let done = request_id::carried(done).instrument(tracing::Span::current());
        match tasks.spawn(done).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Problem::internal(&error)),
        }
    }
}

fn given_answer<A: Serialize>(status: StatusCode, given: &A) -> Result<GivenAnswer, Problem> {
    let body = serde_json::to_value(given).map_err(|error| Problem::internal(&error))?;
    Ok(GivenAnswer {
        status: status.as_u16(),
        body,
    })
}

fn answer(given: &GivenAnswer) -> Response {
    let status = StatusCode::from_u16(given.status).unwrap_or(StatusCode::OK);
    (status, axum::Json(&given.body)).into_response()
}

/// The key that a request carries.
pub(super) fn key(request: &Request) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if (1..=LONGEST_KEY).contains(&text.len()) {
        return Ok(Some(text.to_owned()));
    }
    Err(Problem::new(
        StatusCode::BAD_REQUEST,
        "idempotency_key_invalid",
        "The header “Idempotency-Key” must be 1 to 255 characters of ASCII, such as a UUID.",
    ))
}

impl From<IdempotencyError> for Problem {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Reused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request. Take a new key for a new request.",
            ),
            IdempotencyError::InProgress => Self::new(
                StatusCode::CONFLICT,
                "idempotency_key_in_progress",
                "The first request with this Idempotency-Key is still at work. Try again in a moment.",
            )
            .retry_after(std::time::Duration::from_secs(1)),
            IdempotencyError::Database(error) => error.into(),
            IdempotencyError::Platform(error) => error.into(),
            error @ IdempotencyError::Sealed(_) => Self::internal(&error),
        }
    }
}
