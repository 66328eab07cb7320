//! The platform console's door.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use stoa_app::App;
use stoa_app::sign_in;

use super::super::browser::{Browser, PlatformConsole, Purpose};
use super::super::error::PageError;
use super::super::form::Form;
use super::super::parts::PLATFORM_NAME;
use super::{Credentials, Door, Nothing, Onward, Try};
use crate::http::params::Params;
use crate::http::peer::Peer;

fn door() -> Door {
    Door {
        console_name: PLATFORM_NAME.to_owned(),
        home: "/platform".to_owned(),
    }
}

/// `GET /platform/sign-in`.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Params(onward): Params<Onward>,
    browser: Browser,
) -> Result<Response, PageError> {
    let tried = Try {
        next: onward.next,
        ..Try::default()
    };
    door().show(&app, browser, tried)
}

/// `POST /platform/sign-in`.
pub(in super::super) async fn enter(
    State(app): State<Arc<App>>,
    browser: Browser,
    Peer(from): Peer,
    Form(credentials): Form<Credentials>,
) -> Result<Response, PageError> {
    let (email, password) = (&credentials.email, &credentials.password);
    let outcome = sign_in::super_admin(&app, email, password, from).await;
    door().answer(&app, browser, credentials, outcome)
}

/// `POST /platform/sign-out`.
pub(in super::super) async fn leave(
    State(app): State<Arc<App>>,
    console: PlatformConsole,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, PageError> {
    sign_in::sign_out_super_admin(&app, &console.admin).await?;
    let browser = console.browser.remove(Purpose::SuperAdmin);
    let to = Redirect::to("/platform/sign-in");
    Ok((browser.into_cookies(), to).into_response())
}
