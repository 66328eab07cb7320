//! Instances: the platform's side, the shape that both sides see, and the client's look at its own.

mod api_keys;
mod create;
mod own;
mod platform;
mod problem;
mod usage;
pub(crate) mod view;

use stoa_domain::InvalidText;
use utoipa_axum::routes;

use crate::http::problem::Problem;
use crate::http::routes::{Policy, Routes};

/// Adds the routes of instances.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::ClientKey, routes!(own::get))
        .api(
            Policy::PlatformToken,
            routes!(create::create, platform::list),
        )
        .api(
            Policy::PlatformToken,
            routes!(platform::get, platform::change, platform::delete),
        )
        .api(Policy::PlatformToken, routes!(platform::suspend))
        .api(Policy::PlatformToken, routes!(platform::resume))
        .api(Policy::PlatformToken, routes!(platform::renew_credentials))
        .api(Policy::PlatformToken, routes!(platform::env))
        .api(
            Policy::PlatformToken,
            routes!(api_keys::create, api_keys::list),
        )
        .api(Policy::PlatformToken, routes!(api_keys::revoke))
        .api(Policy::PlatformToken, routes!(usage::by_day))
}

/// A text of a body that was parsed; what is wrong with it is told with its field.
fn parse<T>(field: &str, parsed: Result<T, InvalidText>) -> Result<T, Problem> {
    parsed.map_err(|InvalidText(message)| Problem::invalid_field(field, message))
}
