//! What Stoa is compared with: the least that a saved chat takes, as one would write it first.
//!
//! One handler: select the conversation with what was said before, insert the question, ask the
//! provider, pass its bytes on as they come, insert the answer when they end. Statements are
//! prepared, connections pooled. No tenants, no secrets, no usage, no limits, no retries; an answer
//! whose reader leaves is lost.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use bytes::Bytes;
use deadpool_postgres::{ManagerConfig, Pool, RecyclingMethod};
use futures_util::stream;
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use stoa_domain::{Clock, Random, SessionId};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::client::Conversation;
use crate::fake::{self, Fake};
use crate::ground::Ground;
use crate::process::{self, Process};

/// The database of its own.
pub(crate) const DATABASE: &str = "minimal";
/// Its address goes by the environment, since anybody sees arguments.
const DATABASE_VARIABLE: &str = "STOA_BENCH_MINIMAL_DATABASE";

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS sessions (id uuid PRIMARY KEY, token text NOT NULL);
    CREATE TABLE IF NOT EXISTS messages (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        role text NOT NULL,
        content text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX IF NOT EXISTS messages_in_order ON messages (session_id, id)";
const SELECT: &str = "
    SELECT m.role, m.content
    FROM sessions s LEFT JOIN messages m ON m.session_id = s.id
    WHERE s.id = $1 AND s.token = $2
    ORDER BY m.id DESC LIMIT 40";
const INSERT: &str = "INSERT INTO messages (session_id, role, content) VALUES ($1, $2, $3)";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The provider's address.
    #[arg(long)]
    provider: String,
    /// The database's address.
    #[arg(long, env = DATABASE_VARIABLE, hide_env_values = true)]
    database: SecretString,
    /// How many connections to it.
    #[arg(long)]
    connections: usize,
}

struct Handler {
    pool: Pool,
    http: Client,
    provider: String,
}

/// Serves until whoever started it ends it.
#[expect(
    clippy::disallowed_methods,
    reason = "the natural code that Stoa is compared with; it asks the fake on loopback only"
)]
pub(crate) async fn serve(arguments: Arguments) -> Result<()> {
    let manager = deadpool_postgres::Manager::from_config(
        arguments.database.expose_secret().parse()?,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let pool = Pool::builder(manager).max_size(arguments.connections);
    let handler = Handler {
        pool: pool.build()?,
        http: Client::builder().no_proxy().tcp_nodelay(true).build()?,
        provider: format!("{}/chat/completions", arguments.provider),
    };
    let router = Router::new()
        .route("/sessions/{id}/messages", post(send))
        .with_state(Arc::new(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::announce(listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

#[derive(Deserialize)]
struct NewMessage {
    content: String,
}

/// Whatever goes wrong.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let said = format!("{:#}", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, said).into_response()
    }
}

async fn send(
    State(handler): State<Arc<Handler>>,
    Path(session): Path<Uuid>,
    headers: HeaderMap,
    Json(new): Json<NewMessage>,
) -> Result<Response, Failed> {
    let authorization = headers.get(header::AUTHORIZATION);
    let token = authorization
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .context("no token")?;
    let mut messages = {
        let client = handler.pool.get().await?;
        let select = client.prepare_cached(SELECT).await?;
        let rows = client.query(&select, &[&session, &token]).await?;
        if rows.is_empty() {
            return Err(anyhow::anyhow!("no such conversation").into());
        }
        let insert = client.prepare_cached(INSERT).await?;
        let question = [&session as _, &"user" as _, &new.content as _];
        client.execute(&insert, &question).await?;
        let said = rows.iter().rev().filter_map(|row| {
            let role: Option<&str> = row.get(0);
            Some(json!({ "role": role?, "content": row.get::<_, Option<&str>>(1)? }))
        });
        let system = json!({ "role": "system", "content": "Answer helpfully and briefly." });
        [system].into_iter().chain(said).collect::<Vec<Value>>()
    };
    messages.push(json!({ "role": "user", "content": new.content }));
    let asked = handler.http.post(&handler.provider);
    let asked = asked.json(&fake::question(&messages)).send().await?;
    let answer = Answer {
        handler,
        session,
        upstream: asked.error_for_status()?,
        passed: Vec::new(),
    };
    let body = Body::from_stream(stream::try_unfold(answer, Answer::next));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// An answer on its way through.
struct Answer {
    handler: Arc<Handler>,
    session: Uuid,
    upstream: reqwest::Response,
    passed: Vec<u8>,
}

impl Answer {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        if let Some(piece) = self.upstream.chunk().await? {
            self.passed.extend_from_slice(&piece);
            return Ok(Some((piece, self)));
        }
        let text = text_of(&self.passed);
        let client = self.handler.pool.get().await?;
        let insert = client.prepare_cached(INSERT).await?;
        let answer = [&self.session as _, &"assistant" as _, &text as _];
        client.execute(&insert, &answer).await?;
        Ok(None)
    }
}

/// The answer's text, out of its events.
fn text_of(events: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Event {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        delta: Delta,
    }
    #[derive(Deserialize)]
    struct Delta {
        content: Option<String>,
    }
    String::from_utf8_lossy(events)
        .lines()
        .filter_map(|line| serde_json::from_str::<Event>(line.strip_prefix("data: ")?).ok())
        .flat_map(|event| event.choices)
        .filter_map(|choice| choice.delta.content)
        .collect()
}

/// The handler, running, as those see it who ask it.
pub(crate) struct Minimal {
    pub(crate) process: Process,
    database: tokio_postgres::Client,
    random: Random,
}

impl Minimal {
    pub(crate) async fn start(ground: &Ground, fake: &Fake, connections: usize) -> Result<Self> {
        let url = ground.database(DATABASE).await?;
        let database = ground.connect(DATABASE).await?;
        database.batch_execute(TABLES).await?;
        let (provider, connections) = (fake.base_url(), connections.to_string());
        let arguments = [
            "minimal",
            "--provider",
            &provider,
            "--connections",
            &connections,
        ];
        let secrets = [(DATABASE_VARIABLE, url.expose_secret())];
        Ok(Self {
            process: Process::of_ours(&arguments, &secrets).await?,
            database,
            random: Random::system(),
        })
    }

    /// New conversations.
    pub(crate) async fn conversations(&self, count: usize) -> Result<Vec<Conversation>> {
        let insert = "INSERT INTO sessions (id, token) VALUES ($1, $2)";
        let insert = self.database.prepare(insert).await?;
        let mut begun = Vec::with_capacity(count);
        for _ in 0..count {
            let id = SessionId::generate(&Clock::system(), &self.random).as_uuid();
            let token = u128::from_le_bytes(self.random.bytes());
            let token = format!("{token:032x}");
            self.database.execute(&insert, &[&id, &token]).await?;
            begun.push(Conversation {
                url: format!("{}/sessions/{id}/messages", self.process.base),
                token,
                question: crate::figures::question(),
                first_token: fake::FIRST_TOKEN,
            });
        }
        Ok(begun)
    }
}

/// How many messages all handlers together have stored.
pub(crate) async fn stored(database: &tokio_postgres::Client) -> Result<i64> {
    let count = "SELECT count(*) FROM messages WHERE content <> ''";
    Ok(database.query_one(count, &[]).await?.get(0))
}
