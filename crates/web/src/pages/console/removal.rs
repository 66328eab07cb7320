//! Asking before something is removed: its name has to be typed.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use stoa_app::App;

use super::super::browser::ClientConsole;
use super::super::error::PageError;
use super::super::headers::{self, Nonce};
use super::super::parts::Shell;
use super::{Section, shell};
use crate::http::assets::Assets;

/// What is to be removed.
pub(super) struct Removal {
    /// Where it is kept.
    pub(super) section: Section,
    /// What it is, such as "tool".
    pub(super) what: &'static str,
    /// Its name.
    pub(super) name: String,
    /// What removing it means.
    pub(super) consequence: &'static str,
    /// Its page, which is also where the removal is beneath.
    pub(super) back: String,
}

/// What a removal sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovalFields {
    name: String,
}

#[derive(Template)]
#[template(path = "console_removal.html")]
struct Page<'a> {
    assets: Assets,
    nonce: String,
    shell: Shell,
    removal: &'a Removal,
    error: bool,
}

impl Removal {
    /// Whether the name was typed that is to go.
    pub(super) fn is_meant(&self, typed: &RemovalFields) -> bool {
        typed.name.trim() == self.name
    }

    /// Asks for the name.
    pub(super) fn ask(&self, app: &App, console: &ClientConsole) -> Result<Response, PageError> {
        self.page(app, console, StatusCode::OK)
    }

    /// Asks for it again, after another one was typed.
    pub(super) fn ask_again(
        &self,
        app: &App,
        console: &ClientConsole,
    ) -> Result<Response, PageError> {
        self.page(app, console, StatusCode::UNPROCESSABLE_ENTITY)
    }

    fn page(
        &self,
        app: &App,
        console: &ClientConsole,
        status: StatusCode,
    ) -> Result<Response, PageError> {
        let nonce = Nonce::new(app.random());
        let page = Page {
            assets: Assets,
            nonce: nonce.as_str().to_owned(),
            shell: shell(console, self.section),
            removal: self,
            error: status != StatusCode::OK,
        };
        Ok(headers::console(status, &nonce, &page)?)
    }
}
