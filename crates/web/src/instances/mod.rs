//! Instances: the shape that both sides see, and the client's look at its own.

mod own;
pub(crate) mod view;

use utoipa_axum::routes;

use crate::http::routes::{Policy, Routes};

/// Adds the routes of instances.
pub(crate) fn add(routes: Routes) -> Routes {
    routes.api(Policy::ClientKey, routes!(own::get))
}
