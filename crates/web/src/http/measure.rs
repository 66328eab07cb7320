//! Counting requests by route and status, with the time until the answer began.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use stoa_app::App;

/// What is called that is no route.
const NO_ROUTE: &str = "none";

/// Counts one request.
pub(crate) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let status = response.status().as_u16();
    app.metrics()
        .count_request(method.as_str(), route, status, began.elapsed());
    response
}
