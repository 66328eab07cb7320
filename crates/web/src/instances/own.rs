//! The instance as its client sees it.

use super::view::InstanceView;
use crate::http::caller::Client;
use crate::http::problem::ProblemDocument;

/// Shows this instance.
#[utoipa::path(get, path = "/api/client/v1/instance", tag = "client",
    responses((status = 200, body = InstanceView), (status = 401, body = ProblemDocument)))]
pub(crate) async fn get(Client(caller): Client) -> axum::Json<InstanceView> {
    axum::Json(caller.registered().row().into())
}
