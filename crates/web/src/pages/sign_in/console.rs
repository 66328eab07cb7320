//! The doors of clients' consoles.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use stoa_app::App;
use stoa_app::sign_in;

use super::super::browser::{Browser, ClientConsole, Purpose};
use super::super::error::PageError;
use super::super::form::Form;
use super::{Credentials, Door, Nothing, Onward, Try};
use crate::http::params::Params;
use crate::http::peer::Peer;

async fn door(app: &App, slug: &str) -> Result<Door, PageError> {
    let instance = sign_in::console(app, slug).await?;
    Ok(Door {
        console_name: instance.name.to_string(),
        home: format!("/console/{}", instance.slug),
    })
}

/// `GET /console/{slug}/sign-in`.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Params(onward): Params<Onward>,
    browser: Browser,
) -> Result<Response, PageError> {
    let tried = Try {
        next: onward.next,
        ..Try::default()
    };
    door(&app, &slug).await?.show(&app, browser, tried)
}

/// `POST /console/{slug}/sign-in`.
pub(in super::super) async fn enter(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    browser: Browser,
    Peer(from): Peer,
    Form(credentials): Form<Credentials>,
) -> Result<Response, PageError> {
    let door = door(&app, &slug).await?;
    let (email, password) = (&credentials.email, &credentials.password);
    let outcome = sign_in::client_admin(&app, &slug, email, password, from).await;
    door.answer(&app, browser, credentials, outcome)
}

/// `POST /console/{slug}/sign-out`.
pub(in super::super) async fn leave(
    State(app): State<Arc<App>>,
    console: ClientConsole,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, PageError> {
    sign_in::sign_out_client_admin(&app, &console.admin).await?;
    let slug = console.admin.caller().registered().slug().clone();
    let browser = console.browser.remove(Purpose::ClientAdmin);
    let to = Redirect::to(&format!("/console/{slug}/sign-in"));
    Ok((browser.into_cookies(), to).into_response())
}
