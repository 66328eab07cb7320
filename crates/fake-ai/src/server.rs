//! The server: its routes, its state, and what every request passes through.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer;
use crate::behaviour::{Behaviour, BehaviourError};
use crate::chat;
use crate::embeddings;
use crate::failure::{Failure, bad_request};
use crate::format::Format;
use crate::models;
use crate::record::{Records, RequestRecord, Watch};

/// The largest body that is taken.
const BODY_BYTES: usize = 64 << 20;

/// A running fake provider. Ends, with every connection, when it is dropped.
#[derive(Debug)]
pub struct FakeAi {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

/// What the handlers share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) end: CancellationToken,
    behaviour: Mutex<Behaviour>,
    /// How often each model has failed, for `times`.
    failed: Mutex<HashMap<String, usize>>,
    records: Records,
    connections: AtomicU64,
}

/// A request as it comes.
pub(crate) struct Asked {
    pub(crate) format: Format,
    path: &'static str,
    pub(crate) headers: HeaderMap,
    body: Bytes,
    /// Where the path names it.
    model: Option<String>,
}

impl Asked {
    pub(crate) fn new(format: Format, path: &'static str, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            format,
            path,
            headers,
            body,
            model: None,
        }
    }

    pub(crate) fn of_model(self, model: String) -> Self {
        Self {
            model: Some(model),
            ..self
        }
    }
}

/// A request that is to be answered.
pub(crate) struct Admitted {
    pub(crate) behaviour: Behaviour,
    pub(crate) request: Value,
    pub(crate) model: String,
    pub(crate) watch: Watch,
}

impl FakeAi {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn start() -> std::io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens on `addr`.
    ///
    /// # Errors
    ///
    /// When it is taken or not ours.
    pub async fn listen(addr: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let router = routes(Arc::clone(&shared));
        let end = shared.end.clone();
        // Without this, small events wait for the acknowledgement of the ones before.
        let counted = Arc::clone(&shared);
        let listener = listener.tap_io(move |it| {
            let _ = it.set_nodelay(true);
            counted.connections.fetch_add(1, Ordering::SeqCst);
        });
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            let serving = axum::serve(listener, router);
            let _ = serving.with_graceful_shutdown(end.cancelled_owned()).await;
        });
        tasks.close();
        Ok(Self {
            addr,
            shared,
            tasks,
        })
    }

    /// What to configure as the base URL of OpenAI's format, and of Anthropic's.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// What to configure as the base URL of Gemini's format.
    #[must_use]
    pub fn gemini_url(&self) -> String {
        format!("http://{}/v1beta", self.addr)
    }

    /// What to configure as the base URL of Azure's newer form.
    #[must_use]
    pub fn azure_url(&self) -> String {
        format!("http://{}/openai/v1", self.addr)
    }

    /// What to configure as the base URL of Azure's older form, with deployments in the path.
    #[must_use]
    pub fn azure_deployments_url(&self) -> String {
        format!("http://{}/openai?api-version=2024-10-21", self.addr)
    }

    /// How it behaves from now on, where neither header nor model says otherwise.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.set_behaviour(behaviour);
    }

    /// How many requests have come.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.records.count()
    }

    /// How many connections have been made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.records.list()
    }

    /// Forgets the requests and counts from 0.
    pub fn clear_requests(&self) {
        self.shared.records.clear();
    }

    /// Ends it and waits until every connection is closed and nothing listens.
    pub async fn stop(self) {
        self.shared.end.cancel();
        self.tasks.wait().await;
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }
}

impl Drop for FakeAi {
    fn drop(&mut self) {
        self.shared.end.cancel();
    }
}

impl Shared {
    fn set_behaviour(&self, behaviour: Behaviour) {
        *lock(&self.behaviour) = behaviour;
        lock(&self.failed).clear();
    }

    /// Records a request and lets it fail or hang where it is to.
    pub(crate) async fn admit(&self, asked: Asked) -> Result<Admitted, Box<Response>> {
        let Asked {
            format,
            path,
            headers,
            body,
            model,
        } = asked;
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let authorization = text(header::AUTHORIZATION.as_str());
        let (key_header, before_key) = format.key_header();
        let key = text(key_header).and_then(|it| it.strip_prefix(before_key));
        let refuse = |message: &str| Box::new(bad_request(message));
        let request: Value =
            serde_json::from_slice(&body).map_err(|_| refuse("the body is not JSON"))?;
        let model =
            model.unwrap_or_else(|| request["model"].as_str().unwrap_or_default().to_owned());
        let watch = self.records.begin(
            path,
            authorization.map(str::to_owned),
            key.map(str::to_owned),
            &model,
            request.clone(),
        );
        let behaviour = self.behaviour(text("x-fake"), &model);
        let behaviour = behaviour.map_err(|error| refuse(&error.to_string()))?;
        if behaviour.key.is_some() && behaviour.key.as_deref() != key {
            watch.served();
            return Err(Box::new(Failure::Status(401).response(format, key, None)));
        }
        if behaviour.hang {
            self.end.cancelled().await;
            watch.served();
            return Err(refuse("the server ends"));
        }
        if let Some(failure) = behaviour
            .error
            .filter(|_| is_about(&behaviour, &format.normal(&request), &model))
            .filter(|_| self.is_to_fail(&behaviour, &model))
        {
            tokio::time::sleep(behaviour.delay).await;
            watch.served();
            let retry_after = behaviour.retry_after.as_deref();
            return Err(Box::new(failure.response(format, key, retry_after)));
        }
        Ok(Admitted {
            behaviour,
            request,
            model,
            watch,
        })
    }

    fn behaviour(&self, header: Option<&str>, model: &str) -> Result<Behaviour, BehaviourError> {
        let server = lock(&self.behaviour).clone();
        server.with(header.unwrap_or_default())?.for_model(model)
    }

    fn is_to_fail(&self, behaviour: &Behaviour, model: &str) -> bool {
        let Some(times) = behaviour.times else {
            return true;
        };
        let mut failed = lock(&self.failed);
        let count = failed.entry(model.to_owned()).or_default();
        *count += 1;
        *count <= times
    }
}

/// Whether a failure is meant for this request.
fn is_about(behaviour: &Behaviour, normal: &Value, model: &str) -> bool {
    let round = behaviour.error_round;
    let named = behaviour.error_model.as_deref();
    round.is_none_or(|it| it == answer::round(normal)) && named.is_none_or(|it| it == model)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::openai))
        .route("/v1/messages", post(chat::anthropic))
        .route("/v1/embeddings", post(embeddings::openai))
        .route("/v1/models", get(models::openai_or_anthropic))
        .route("/v1beta/models", get(models::gemini))
        .route("/v1beta/models/{called}", post(chat::gemini))
        .route("/openai/v1/chat/completions", post(chat::azure))
        .route("/openai/v1/embeddings", post(embeddings::azure))
        .route("/openai/v1/models", get(models::azure))
        .route("/openai/models", get(models::azure))
        .route(
            "/openai/deployments/{deployment}/chat/completions",
            post(chat::azure_deployment),
        )
        .route(
            "/openai/deployments/{deployment}/embeddings",
            post(embeddings::azure_deployment),
        )
        .route("/_fake/requests", get(requests).delete(clear_requests))
        .route("/_fake/behaviour", put(set_behaviour))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(shared)
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"count": shared.records.count(), "requests": shared.records.list()}))
}

async fn clear_requests(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.records.clear();
    StatusCode::NO_CONTENT
}

async fn set_behaviour(State(shared): State<Arc<Shared>>, notation: String) -> Response {
    match Behaviour::parse(&notation) {
        Ok(behaviour) => {
            shared.set_behaviour(behaviour);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => bad_request(&error.to_string()),
    }
}
