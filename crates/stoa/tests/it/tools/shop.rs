//! A client's shop, which tools ask: a real server that remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio_util::task::TaskTracker;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    /// `GET /orders/7`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.uri)
    }
}

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What `/note` says.
    note: Arc<Mutex<String>>,
    /// How many requests to `/slow` were hung up on.
    hung_up: Arc<Mutex<usize>>,
    /// Where two requests meet.
    meeting: Arc<Barrier>,
}

/// A running shop.
pub struct Shop {
    /// Where it is, without a slash at the end.
    pub url: String,
    shared: Shared,
}

impl Shop {
    /// Opens it; it closes with the test.
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared {
            asked: Arc::default(),
            note: Arc::default(),
            hung_up: Arc::default(),
            meeting: Arc::new(Barrier::new(2)),
        };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The same, as lines.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// How many slow requests were hung up on.
    pub fn hung_up(&self) -> usize {
        *self.shared.hung_up.lock().unwrap()
    }

    /// What its notes say from now on.
    pub fn set_note(&self, note: &str) {
        note.clone_into(&mut self.shared.note.lock().unwrap());
    }
}

/// Counts a request that is dropped before its answer.
struct HungUp(Arc<Mutex<usize>>);

impl Drop for HungUp {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 1;
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked {
        method,
        uri: uri.to_string(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    shared.asked.lock().unwrap().push(asked.clone());
    let json = |text: String| ([("content-type", "application/json")], text).into_response();
    match uri.path().split('/').nth(1).unwrap_or_default() {
        "orders" => {
            let id = uri.path().rsplit('/').next().unwrap_or_default();
            json(format!(r#"{{"id":"{id}","state":"shipped"}}"#))
        }
        "refunds" => json(r#"{"refunded":true}"#.to_owned()),
        "slow" => {
            let _hung_up = HungUp(shared.hung_up.clone());
            std::future::pending().await
        }
        "meeting" => {
            let meets = tokio::time::timeout(Duration::from_secs(10), shared.meeting.wait());
            match meets.await {
                Ok(_) => json(r#"{"met":true}"#.to_owned()),
                Err(_) => StatusCode::CONFLICT.into_response(),
            }
        }
        "note" => shared.note.lock().unwrap().clone().into_response(),
        "echo" => format!("{}\n{:?}\n{}", asked.line(), asked.headers, asked.body).into_response(),
        "away" => {
            let to = shared.note.lock().unwrap().clone();
            (StatusCode::FOUND, [("location", to)]).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
