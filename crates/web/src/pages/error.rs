//! What goes wrong on the way to a page, as a page.

use askama::Template;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use stoa_app::sign_in::SignInError;

use super::headers;
use super::parts::{PLATFORM_NAME, PageLink};
use crate::http::assets::Assets;
use crate::http::problem::Problem;
use crate::http::request_id;

/// Why a page is not shown.
#[derive(Debug)]
pub(crate) enum PageError {
    /// There is no such page, or none for whoever asks: the two look alike.
    NotFound,
    /// Somebody has to sign in first, there.
    SignIn(String),
    /// The form was not one of ours, or is too old.
    Form,
    /// The link is unknown, used or too old.
    Link,
    /// The page changes something, and whoever asks may only look.
    Role,
    /// Anything else, in the words of its problem document.
    Problem(Problem),
}

/// A titled page with a sentence.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    assets: Assets,
    platform_name: &'static str,
    title: &'static str,
    sentence: String,
    link: Option<PageLink>,
    reference: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, title, sentence) = match self {
            Self::SignIn(path) => return Redirect::to(&path).into_response(),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is no such page",
                "The address may be misspelt, or the page was removed.".to_owned(),
            ),
            Self::Form => (
                StatusCode::FORBIDDEN,
                "This form is too old",
                "Go back, load the page again and send the form once more.".to_owned(),
            ),
            Self::Link => (
                StatusCode::NOT_FOUND,
                "This link does not work any more",
                "It was used already, is too old, or was replaced by a newer one. Ask whoever sent it for a new one."
                    .to_owned(),
            ),
            Self::Role => (
                StatusCode::FORBIDDEN,
                "This is not yours to change",
                "Owners and admins of this console may change its settings. Ask one of them."
                    .to_owned(),
            ),
            Self::Problem(problem) => {
                let title = match problem.status() {
                    StatusCode::TOO_MANY_REQUESTS => "Too many tries",
                    StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
                    status if status.is_client_error() => "That did not work",
                    _ => "Something went wrong",
                };
                (problem.status(), title, problem.detail().to_owned())
            }
        };
        show(status, title, sentence).unwrap_or_else(IntoResponse::into_response)
    }
}

fn show(status: StatusCode, title: &'static str, sentence: String) -> Result<Response, Problem> {
    let message = Message {
        assets: Assets,
        platform_name: PLATFORM_NAME,
        title,
        sentence,
        link: None,
        reference: request_id::current(),
    };
    headers::bare(status, &message)
}

/// Whether a request is a person's, who reads pages, rather than a program's.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"))
}

impl<E: Into<Problem>> From<E> for PageError {
    fn from(error: E) -> Self {
        let problem = error.into();
        if problem.status() == StatusCode::NOT_FOUND {
            return Self::NotFound;
        }
        Self::Problem(problem)
    }
}

impl From<SignInError> for PageError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::NotFound => Self::NotFound,
            SignInError::Link => Self::Link,
            SignInError::Wrong | SignInError::Wait(_) | SignInError::Password(_) => {
                Self::Problem(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "sign_in_unavailable",
                    "Signing in did not work just now. Try again in a moment.",
                ))
            }
            SignInError::Platform(error) => error.into(),
        }
    }
}
