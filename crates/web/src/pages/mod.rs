//! Pages for people: signing in, the consoles' first pages, the hosted chat.
//!
//! A page is a struct with a template of the same name. Whatever goes wrong on the way to one is a
//! [`error::PageError`], shown as a page too.

pub(crate) mod api_docs;
mod browser;
mod chat;
mod console;
pub(crate) mod error;
mod form;
mod headers;
mod parts;
mod platform;
mod setup;
mod sign_in;

use axum::http::Method;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::http::routes::{Policy, Routes};

/// The assets that the pages need.
pub(crate) const ASSETS: [&str; 5] = [
    "icon.svg",
    "console.css",
    "console.js",
    "chat.css",
    "chat.js",
];

/// Adds the pages.
pub(crate) fn add(routes: Routes) -> Routes {
    use Policy::{ClientAdmin, Public, SuperAdmin};
    let (read, send) = (Method::GET, Method::POST);
    let routes = routes
        .page(Public, read.clone(), "/", get(home))
        .page(Public, read.clone(), "/chat/{slug}", get(chat::show))
        .page(Public, read.clone(), "/setup", get(setup::show))
        .page(Public, send.clone(), "/setup", post(setup::set));
    let routes = routes
        .page(SuperAdmin, read.clone(), "/platform", get(platform::show))
        .page(
            Public,
            read.clone(),
            "/platform/sign-in",
            get(sign_in::platform::show),
        )
        .page(
            Public,
            send.clone(),
            "/platform/sign-in",
            post(sign_in::platform::enter),
        )
        .page(
            SuperAdmin,
            send.clone(),
            "/platform/sign-out",
            post(sign_in::platform::leave),
        );
    let routes = routes
        .page(
            ClientAdmin,
            read.clone(),
            "/console/{slug}",
            get(console::overview::show),
        )
        .page(
            Public,
            read,
            "/console/{slug}/sign-in",
            get(sign_in::console::show),
        )
        .page(
            Public,
            send.clone(),
            "/console/{slug}/sign-in",
            post(sign_in::console::enter),
        )
        .page(
            ClientAdmin,
            send,
            "/console/{slug}/sign-out",
            post(sign_in::console::leave),
        );
    let features = [
        console::budgets::add,
        console::mcp_servers::add,
        console::models::add,
        console::tools::add,
    ];
    features.into_iter().fold(routes, |routes, add| add(routes))
}

/// Whoever opens the bare address is most likely the operator.
async fn home() -> Redirect {
    Redirect::to("/platform")
}
