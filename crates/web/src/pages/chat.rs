//! The hosted chat, `/chat/{slug}`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use stoa_app::App;
use stoa_app::hosted_chat;
use stoa_domain::live_configuration::ColorScheme;

use super::error::PageError;
use super::headers::{self, Nonce};
use super::parts::PLATFORM_NAME;
use crate::http::assets::Assets;
use crate::http::params::Params;

/// Languages that are written from right to left.
const RIGHT_TO_LEFT: [&str; 5] = ["ar", "fa", "he", "ur", "yi"];

/// What the address may ask for.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    locale: String,
}

#[derive(Template)]
#[template(path = "chat.html")]
struct Page {
    assets: Assets,
    nonce: String,
    language: String,
    direction: &'static str,
    instance_id: String,
    bot_name: String,
    tagline: String,
    locale: String,
    color_scheme: &'static str,
    platform_name: &'static str,
}

/// `GET /chat/{slug}`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(slug): Path<String>,
    Params(asked): Params<Asked>,
) -> Result<Response, PageError> {
    let chat = hosted_chat::find(&app, &slug)
        .await?
        .ok_or(PageError::NotFound)?;
    let display = &chat.live.display;
    let locale = if is_language(&asked.locale) {
        asked.locale
    } else {
        String::new()
    };
    let language = match display.language.as_str() {
        "auto" if locale.is_empty() => "en".to_owned(),
        "auto" => locale.clone(),
        language => language.to_owned(),
    };
    let nonce = Nonce::new(app.random());
    let page = Page {
        assets: Assets,
        nonce: nonce.as_str().to_owned(),
        direction: direction(&language),
        language,
        instance_id: chat.id.to_string(),
        bot_name: chat.name,
        tagline: display.tagline.clone(),
        locale,
        color_scheme: match chat.live.theme.color_scheme {
            ColorScheme::Auto => "auto",
            ColorScheme::Light => "light",
            ColorScheme::Dark => "dark",
        },
        platform_name: PLATFORM_NAME,
    };
    Ok(headers::chat(&nonce, &chat.live.access.origins(), &page)?)
}

fn direction(language: &str) -> &'static str {
    let primary = language.split('-').next().unwrap_or_default();
    if RIGHT_TO_LEFT.contains(&primary.to_ascii_lowercase().as_str()) {
        "rtl"
    } else {
        "ltr"
    }
}

fn is_language(text: &str) -> bool {
    (1..=35).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
