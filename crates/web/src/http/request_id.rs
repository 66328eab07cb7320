//! One id per request, in and out as `X-Request-Id`, in every log line and every problem.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use stoa_app::App;
use stoa_domain::MessageId;
use tracing::Instrument as _;

const HEADER: &str = "x-request-id";

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request being answered; empty outside of one.
pub(crate) fn current() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// A future that runs in a task of its own and still knows the request it belongs to.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    REQUEST_ID.scope(current(), future)
}

/// Takes the caller's id where it is a plain one, else makes one, and sends it back.
pub(crate) async fn assign(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_plain(id))
        .map_or_else(
            || MessageId::generate(app.clock(), app.random()).to_string(),
            str::to_owned,
        );
    let span = tracing::info_span!("request", request_id = %id, method = %request.method());
    let answer = REQUEST_ID.scope(id.clone(), next.run(request).instrument(span));
    let mut response = answer.await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn is_plain(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_over() {
        assert!(is_plain("018f-ab.c_d:1"));
        for bad in ["", "a b", "a\"b", "ä", &"a".repeat(129)] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
