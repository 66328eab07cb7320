//! The first sign-in by a one-use link: shown without using the link up, since programs that scan
//! mail open links too; used up when the password is set.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;
use stoa_app::App;
use stoa_app::passwords::{MIN_CHARACTERS, PasswordError};
use stoa_app::sign_in::{self, Invited, SignInError};

use super::browser::Browser;
use super::error::PageError;
use super::form::Form;
use super::headers;
use super::parts::PLATFORM_NAME;
use super::sign_in::entered;
use crate::http::assets::Assets;
use crate::http::params::Params;
use crate::http::peer::Peer;

/// What the link holds.
#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    token: String,
}

/// What the page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    token: String,
    password: SecretString,
}

#[derive(Template)]
#[template(path = "setup.html")]
struct Page {
    assets: Assets,
    platform_name: &'static str,
    console_name: String,
    email: String,
    action: &'static str,
    token: String,
    form_token: String,
    minimum_length: usize,
    error: Option<String>,
}

/// `GET /setup?token=…`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Params(link): Params<Link>,
    browser: Browser,
) -> Result<Response, PageError> {
    let invited = sign_in::invited(&app, &link.token).await?;
    page(&app, browser, invited, link.token, None)
}

/// `POST /setup`.
pub(super) async fn set(
    State(app): State<Arc<App>>,
    browser: Browser,
    Peer(from): Peer,
    Form(new): Form<NewPassword>,
) -> Result<Response, PageError> {
    match sign_in::set_password(&app, &new.token, &new.password, from).await {
        Ok(signed_in) => {
            let (browser, home) = entered(browser, signed_in);
            Ok((browser.into_cookies(), Redirect::to(&home)).into_response())
        }
        Err(SignInError::Password(PasswordError::Unfit)) => {
            let invited = sign_in::invited(&app, &new.token).await?;
            let error = PasswordError::Unfit.to_string();
            page(&app, browser, invited, new.token, Some(error))
        }
        Err(error) => Err(error.into()),
    }
}

fn page(
    app: &App,
    browser: Browser,
    invited: Invited,
    token: String,
    error: Option<String>,
) -> Result<Response, PageError> {
    let (browser, form_token) = browser.with_form_token(app);
    let status = match error {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let page = Page {
        assets: Assets,
        platform_name: PLATFORM_NAME,
        console_name: invited
            .instance_name
            .unwrap_or_else(|| PLATFORM_NAME.to_owned()),
        email: invited.email.to_string(),
        action: "/setup",
        token,
        form_token,
        minimum_length: MIN_CHARACTERS,
        error,
    };
    let page = headers::bare(status, &page)?;
    Ok((browser.into_cookies(), page).into_response())
}
