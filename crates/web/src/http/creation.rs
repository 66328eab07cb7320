//! `POST`s by which the platform creates something: done once per `Idempotency-Key`, and to their end even when the
//! caller goes away in the middle.

use std::fmt::Display;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use stoa_app::App;
use stoa_app::platform_idempotency::{self as idempotency, Begun};
use tracing::Instrument as _;

use super::body;
use super::once;
use super::problem::Problem;
use super::request_id;

/// The JSON body of a request that creates something, and the key under which it is done once.
pub(crate) struct Creation<T> {
    body: T,
    target: String,
    once: Option<(String, [u8; 32])>,
}

/// The same, for requests that may come without a body.
pub(crate) struct BareCreation<T>(pub(crate) Creation<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Creation<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        body::require_json(&request)?;
        let (target, key) = about(&request)?;
        let bytes = read(request, state).await?;
        Self::new(&bytes, &bytes, target, key)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for BareCreation<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (target, key) = about(&request)?;
        let typed = body::require_json(&request);
        let bytes = read(request, state).await?;
        if bytes.is_empty() {
            return Creation::new(&bytes, b"{}", target, key).map(Self);
        }
        typed?;
        Creation::new(&bytes, &bytes, target, key).map(Self)
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let read = Bytes::from_request(request, state).await;
    read.map_err(|rejection| body::unread(&rejection))
}

/// What a request is for, and its key.
fn about(request: &Request) -> Result<(String, Option<String>), Problem> {
    let target = format!("{} {}", request.method(), request.uri().path());
    Ok((target, once::key(request)?))
}

impl<T: DeserializeOwned> Creation<T> {
    fn new(
        sent: &Bytes,
        meant: &[u8],
        target: String,
        key: Option<String>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            body: body::parse(meant)?,
            target,
            once: key.map(|key| (key, Sha256::digest(sent).into())),
        })
    }
}

impl<T: Send + 'static> Creation<T> {
    /// Does the work with the body, once per caller and key. The answer may hold what is shown
    /// only once, so nobody on the way may keep it.
    pub(crate) async fn once<V, F>(
        self,
        app: &Arc<App>,
        caller: impl Display,
        work: impl FnOnce(Arc<App>, T) -> F + Send + 'static,
    ) -> Result<Response, Problem>
    where
        V: Serialize + Send,
        F: Future<Output = Result<(StatusCode, V), Problem>> + Send + 'static,
    {
        let request = self.once.map(|(key, body_hash)| idempotency::Request {
            scope: format!("{caller} {}", self.target),
            key,
            body_hash,
        });
        let worker = Arc::clone(app);
        let doing = async move {
            let body = self.body;
            let work = || work(Arc::clone(&worker), body);
            match request {
                Some(request) => at_most_once(&worker, &request, work).await,
                None => answer(work().await?),
            }
        };
        let done = app
            .tasks()
            .spawn(request_id::carried(doing).instrument(tracing::Span::current()))
            .await;
        done.map_err(|_| cut_off())?
    }
}

async fn at_most_once<V: Serialize, F>(
    app: &App,
    request: &idempotency::Request,
    work: impl FnOnce() -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<(StatusCode, V), Problem>>,
{
    if let Begun::Answered { status, body } = idempotency::begin(app, request).await? {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let mut response = json(status, body.to_vec());
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(once::REPLAYED, replayed);
        return Ok(response);
    }
    let (status, made) = match work().await {
        Ok(made) => made,
        Err(problem) => {
            if let Err(error) = idempotency::abandon(app, request).await {
                tracing::error!(%error, "an idempotency key was not given back");
            }
            return Err(problem);
        }
    };
    let body = encode(&made)?;
    // The effect is there: a failure to keep the answer must not turn it into an error.
    if let Err(error) = idempotency::finish(app, request, status.as_u16(), &body).await {
        tracing::error!(%error, "the answer to an idempotent request was not kept");
    }
    Ok(json(status, body))
}

fn answer<V: Serialize>((status, made): (StatusCode, V)) -> Result<Response, Problem> {
    Ok(json(status, encode(&made)?))
}

fn encode<V: Serialize>(made: &V) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(made).map_err(|error| Problem::internal(&error))
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}

fn cut_off() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "restarting",
        "The server is restarting. Try again.",
    )
}
