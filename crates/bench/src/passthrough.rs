//! The least that can stand between a visitor and a provider: one axum handler that passes the
//! question on as it is and the answer's bytes back as they come. It keeps nothing and knows nobody.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use futures_util::stream;
use reqwest::Client;
use tokio::net::TcpListener;

use crate::client::Conversation;
use crate::fake::Fake;
use crate::process::{self, Process};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The provider's address.
    #[arg(long)]
    provider: String,
}

struct Handler {
    http: Client,
    provider: String,
}

/// Serves until whoever started it ends it.
#[expect(
    clippy::disallowed_methods,
    reason = "the natural code that Stoa is compared with; it asks the fake on loopback only"
)]
pub(crate) async fn serve(arguments: Arguments) -> Result<()> {
    let handler = Handler {
        http: Client::builder().no_proxy().tcp_nodelay(true).build()?,
        provider: format!("{}/chat/completions", arguments.provider),
    };
    let router = Router::new()
        .route("/chat/completions", post(pass))
        .with_state(Arc::new(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::announce(listener.local_addr()?)?;
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn pass(State(handler): State<Arc<Handler>>, question: Bytes) -> Response {
    let asked = handler
        .http
        .post(&handler.provider)
        .header(header::CONTENT_TYPE, "application/json")
        .body(question);
    let answer = match asked.send().await.and_then(|it| it.error_for_status()) {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let pieces = stream::try_unfold(answer, |mut answer| async move {
        let piece = answer.chunk().await?;
        Ok::<_, reqwest::Error>(piece.map(|piece| (piece, answer)))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::from_stream(pieces)).into_response()
}

/// The handler, running.
pub(crate) struct PassThrough {
    pub(crate) process: Process,
}

impl PassThrough {
    pub(crate) async fn start(fake: &Fake) -> Result<Self> {
        let provider = fake.base_url();
        let arguments = ["pass-through", "--provider", &provider];
        Ok(Self {
            process: Process::of_ours(&arguments, &[]).await?,
        })
    }

    /// Whoever asks the provider through it.
    pub(crate) fn conversation(&self, fake: &Fake) -> Conversation {
        Conversation {
            url: format!("{}/chat/completions", self.process.base),
            ..fake.directly()
        }
    }
}
