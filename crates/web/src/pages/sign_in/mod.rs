//! Signing in with a password, and out.

pub(super) mod console;
pub(super) mod platform;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;
use stoa_app::App;
use stoa_app::sign_in::{Console, SignInError, SignedIn};

use super::browser::{Browser, Purpose};
use super::error::PageError;
use super::headers;
use super::parts::PLATFORM_NAME;
use crate::http::assets::Assets;

/// Where to go on after signing in.
#[derive(Deserialize, Default)]
pub(super) struct Onward {
    #[serde(default)]
    next: String,
}

/// What a sign-in page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    email: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// What a sign-out button sends besides its token: nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page {
    assets: Assets,
    platform_name: &'static str,
    console_name: String,
    action: String,
    form_token: String,
    next: String,
    email: String,
    error: Option<String>,
}

/// One console's door.
struct Door {
    /// Whose console it is.
    console_name: String,
    /// The console's first page; its sign-in is beneath.
    home: String,
}

/// What was tried at a door, if anything.
#[derive(Default)]
struct Try {
    email: String,
    next: String,
    error: Option<SignInError>,
}

impl Door {
    fn show(&self, app: &App, browser: Browser, tried: Try) -> Result<Response, PageError> {
        let (status, error) = match &tried.error {
            None => (StatusCode::OK, None),
            Some(SignInError::Wrong) => (
                StatusCode::UNAUTHORIZED,
                Some("This e-mail address and password do not go together. Check both and try again.".to_owned()),
            ),
            Some(SignInError::Wait(wait)) => (
                StatusCode::TOO_MANY_REQUESTS,
                Some(format!("Too many tries. Wait {} seconds and try again.", wait.as_secs() + 1)),
            ),
            Some(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                Some("Signing in did not work just now. Try again in a moment.".to_owned()),
            ),
        };
        let (browser, form_token) = browser.with_form_token(app);
        let page = Page {
            assets: Assets,
            platform_name: PLATFORM_NAME,
            console_name: self.console_name.clone(),
            action: format!("{}/sign-in", self.home),
            form_token,
            next: self.own_path(&tried.next).unwrap_or_default().to_owned(),
            email: tried.email,
            error,
        };
        let mut response = headers::bare(status, &page)?;
        if let Some(SignInError::Wait(wait)) = tried.error {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        Ok((browser.into_cookies(), response).into_response())
    }

    /// Lets somebody in, or shows the door again with what was wrong.
    fn answer(
        &self,
        app: &App,
        browser: Browser,
        credentials: Credentials,
        outcome: Result<SignedIn, SignInError>,
    ) -> Result<Response, PageError> {
        match outcome {
            Ok(signed_in) => {
                let (browser, home) = entered(browser, signed_in);
                let to = self.own_path(&credentials.next).unwrap_or(&home);
                Ok((browser.into_cookies(), Redirect::to(to)).into_response())
            }
            Err(error @ (SignInError::NotFound | SignInError::Platform(_))) => Err(error.into()),
            Err(error) => {
                let tried = Try {
                    email: credentials.email,
                    next: credentials.next,
                    error: Some(error),
                };
                self.show(app, browser, tried)
            }
        }
    }

    /// A path inside this console and nowhere else.
    fn own_path<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.home)?;
        let inside = rest.is_empty() || rest.starts_with(['/', '?']);
        let plain = path
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '\\' | '"' | '<' | '>'));
        (inside && plain && !rest.starts_with("//") && path.len() <= 2_000).then_some(path)
    }
}

/// The browser with its new session, and the first page of what it opens.
pub(super) fn entered(browser: Browser, signed_in: SignedIn) -> (Browser, String) {
    let (purpose, home) = match signed_in.console {
        Console::Platform => (Purpose::SuperAdmin, "/platform".to_owned()),
        Console::Client(slug) => (Purpose::ClientAdmin, format!("/console/{slug}")),
    };
    let token = signed_in.token.expose().to_owned();
    (browser.set(purpose, token).remove(Purpose::Forms), home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_on_stays_inside_the_console() {
        let door = Door {
            console_name: "Acme".into(),
            home: "/console/acme".into(),
        };
        for own in [
            "/console/acme",
            "/console/acme/team",
            "/console/acme?range=7d",
        ] {
            assert_eq!(door.own_path(own), Some(own));
        }
        for other in [
            "",
            "/",
            "/platform",
            "/console/acme-2",
            "/console/acme//evil.example",
            "//evil.example",
            "https://evil.example",
            "/console/acme/\\evil",
            "/console/acme\r\nx",
        ] {
            assert_eq!(door.own_path(other), None, "{other}");
        }
    }
}
