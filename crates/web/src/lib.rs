//! HTTP: routes and who may call them, bodies, pages, streams, problems.
//!
//! A feature is a module with its routes, shapes and failures; [`router`] puts them together. A
//! handler extracts, makes one use-case call and answers.

mod api_configurations;
mod budgets;
mod chat;
mod database;
mod documents;
mod export;
mod health;
mod http;
mod instances;
mod live_configuration;
mod mcp_servers;
mod openai_api;
mod openapi;
mod pages;
mod rag_instructions;
mod sessions;
mod tools;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use stoa_app::App;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::routes;

pub use database::moving::MoveView;
pub use http::problem::Problem;
pub use http::routes::{Policy, Route};
pub use instances::view::InstanceView;

use http::assets;
use http::measure;
use http::request_id;
use http::routes::Routes;
use pages::error::{PageError, wants_page};

/// The largest JSON body. Uploads have their own bound.
const BODY_BYTES: usize = 512 * 1024;

/// The product's router, ready to serve.
pub fn router(app: &Arc<App>) -> Router {
    let missing = assets::Assets::missing(&pages::ASSETS);
    if !missing.is_empty() {
        tracing::info!(
            ?missing,
            "built without scripts and styles; pages look bare"
        );
    }
    let (router, document, _) = all_routes().build();
    openapi::serve(router, &document)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            chat::origin::share,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            request_id::assign,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            measure::count,
        ))
        .with_state(Arc::clone(app))
}

/// Whether the process is alive and ready, and nothing else: for one that only works in the
/// background.
pub fn health_router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(no_route)
        .with_state(Arc::clone(app))
}

/// Every route with its policy.
#[must_use]
pub fn route_table() -> Vec<Route> {
    all_routes().build().2
}

/// The OpenAPI 3.1 document, as JSON.
#[must_use]
pub fn openapi_json() -> String {
    all_routes().build().1.to_pretty_json().unwrap_or_default()
}

fn all_routes() -> Routes {
    let routes = Routes::new(openapi::beginning())
        .api(Policy::Public, routes!(health::alive))
        .api(Policy::Public, routes!(health::ready))
        .page(
            Policy::Public,
            Method::GET,
            "/assets/{name}",
            get(assets::serve),
        );
    let routes = openapi::PATHS.into_iter().fold(routes, |routes, path| {
        routes.declare(Policy::Public, Method::GET, path)
    });
    let features = [
        api_configurations::add,
        budgets::add,
        chat::add,
        database::add,
        documents::add,
        export::add,
        instances::add,
        live_configuration::add,
        mcp_servers::add,
        openai_api::add,
        pages::add,
        rag_instructions::add,
        sessions::add,
        tools::add,
    ];
    features.into_iter().fold(routes, |routes, add| add(routes))
}

async fn no_route(uri: Uri, headers: HeaderMap) -> Response {
    if wants_page(&headers) {
        PageError::NotFound.into_response()
    } else {
        openai_api::in_its_shape(&uri, Problem::not_found())
    }
}

async fn no_method(uri: Uri) -> Response {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This address does not take this method.",
    );
    openai_api::in_its_shape(&uri, problem)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side. Try again; if it stays, ask for help with the request id.",
    )
    .into_response()
}
