//! The chat API: what the widget and the hosted page speak.

mod approvals;
mod configuration;
mod dto;
mod messages;
pub(crate) mod origin;
mod problem;
mod sessions;
mod step;
pub(crate) mod stream;

pub(crate) use dto::{MessageView, SourceView};
pub(crate) use step::StepView;
use utoipa_axum::routes;

use crate::http::routes::{Policy, Routes};

/// Adds the chat API's routes.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .api(Policy::Public, routes!(configuration::get))
        .api(Policy::Public, routes!(sessions::begin))
        .api(Policy::Visitor, routes!(sessions::get))
        .api(Policy::Visitor, routes!(messages::list, messages::send))
        .api(Policy::Visitor, routes!(messages::stop))
        .api(Policy::Visitor, routes!(messages::stream))
        .api(Policy::Visitor, routes!(messages::feedback))
        .api(Policy::Visitor, routes!(messages::regenerate))
        .api(Policy::Visitor, routes!(approvals::decide))
}
