//! The browser that asks: its cookies, and who has signed in with it.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use stoa_app::App;
use stoa_app::access::{self, ClientAdmin, SuperAdmin};
use stoa_app::sign_in::{self, form_token};
use stoa_domain::AdminRole;
use url::Url;

use super::error::PageError;
use crate::http::peer;

/// What a cookie of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A super admin's session.
    SuperAdmin,
    /// A client admin's session.
    ClientAdmin,
    /// A secret for the forms of a browser that nobody has signed in with.
    Forms,
}

impl Purpose {
    /// Over TLS the name's prefix makes browsers insist on `Secure`, the whole site and this host.
    const fn name(self, tls: bool) -> &'static str {
        match (self, tls) {
            (Self::SuperAdmin, true) => "__Host-stoa_admin",
            (Self::SuperAdmin, false) => "stoa_admin",
            (Self::ClientAdmin, true) => "__Host-stoa_session",
            (Self::ClientAdmin, false) => "stoa_session",
            (Self::Forms, true) => "__Host-stoa_form",
            (Self::Forms, false) => "stoa_form",
        }
    }

    const fn same_site(self) -> SameSite {
        match self {
            Self::SuperAdmin | Self::Forms => SameSite::Strict,
            Self::ClientAdmin => SameSite::Lax,
        }
    }
}

/// The cookies of a request, and those that the response is to set.
pub(super) struct Browser {
    jar: CookieJar,
    tls: bool,
}

impl Browser {
    pub(super) fn new(parts: &Parts, public_url: &Url) -> Self {
        Self {
            jar: CookieJar::from_headers(&parts.headers),
            tls: public_url.scheme() == "https",
        }
    }

    /// What a cookie holds.
    pub(super) fn get(&self, purpose: Purpose) -> Option<&str> {
        self.jar.get(purpose.name(self.tls)).map(Cookie::value)
    }

    /// Sets a cookie until the browser is closed.
    pub(super) fn set(mut self, purpose: Purpose, value: String) -> Self {
        let cookie = self.cookie(purpose, value);
        self.jar = self.jar.add(cookie);
        self
    }

    /// Takes a cookie back.
    pub(super) fn remove(mut self, purpose: Purpose) -> Self {
        let mut cookie = self.cookie(purpose, String::new());
        cookie.make_removal();
        self.jar = self.jar.add(cookie);
        self
    }

    /// The cookies to set.
    pub(super) fn into_cookies(self) -> CookieJar {
        self.jar
    }

    /// Whether a form's token is one that was given to this browser.
    pub(super) fn gave(&self, token: &str) -> bool {
        [Purpose::SuperAdmin, Purpose::ClientAdmin, Purpose::Forms]
            .into_iter()
            .filter_map(|purpose| self.get(purpose))
            .any(|secret| form_token::matches(secret, token))
    }

    /// The token for a form before sign-in, with the cookie that it belongs to.
    pub(super) fn with_form_token(self, app: &App) -> (Self, String) {
        if let Some(secret) = self.get(Purpose::Forms).filter(|secret| !secret.is_empty()) {
            let token = form_token::of(secret);
            return (self, token);
        }
        let secret = form_token::new_secret(app.random());
        let token = form_token::of(&secret);
        (self.set(Purpose::Forms, secret), token)
    }

    /// The token for a form of somebody who is signed in.
    pub(super) fn form_token(&self, purpose: Purpose) -> String {
        self.get(purpose).map(form_token::of).unwrap_or_default()
    }

    fn cookie(&self, purpose: Purpose, value: String) -> Cookie<'static> {
        Cookie::build((purpose.name(self.tls), value))
            .path("/")
            .http_only(true)
            .secure(self.tls)
            .same_site(purpose.same_site())
            .build()
    }
}

impl FromRequestParts<Arc<App>> for Browser {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::new(parts, &app.settings().public_url))
    }
}

/// A super admin who is signed in; others are led to the sign-in.
pub(super) struct PlatformConsole {
    pub(super) admin: SuperAdmin,
    pub(super) browser: Browser,
}

impl FromRequestParts<Arc<App>> for PlatformConsole {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let browser = Browser::new(parts, &app.settings().public_url);
        let admin = match browser.get(Purpose::SuperAdmin) {
            Some(token) => access::super_admin(app, token).await?,
            None => None,
        };
        let from = peer::address(parts, app);
        match admin {
            Some(admin) => Ok(Self {
                admin: admin.seen_from(from),
                browser,
            }),
            None => Err(PageError::SignIn("/platform/sign-in".to_owned())),
        }
    }
}

/// An admin of the very instance that the path names; others are led to its sign-in.
pub(super) struct ClientConsole {
    pub(super) admin: ClientAdmin,
    pub(super) browser: Browser,
}

impl FromRequestParts<Arc<App>> for ClientConsole {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let slug = named(parts, app, "slug").await?;
        let browser = Browser::new(parts, &app.settings().public_url);
        let admin = match browser.get(Purpose::ClientAdmin) {
            Some(token) => access::client_admin(app, token).await?,
            None => None,
        };
        let own = admin.filter(|admin| admin.caller().registered().slug().as_str() == slug);
        let from = peer::address(parts, app);
        match own {
            Some(admin) => Ok(Self {
                admin: admin.seen_from(from),
                browser,
            }),
            None => {
                let instance = sign_in::console(app, &slug).await?;
                Err(PageError::SignIn(format!(
                    "/console/{}/sign-in",
                    instance.slug
                )))
            }
        }
    }
}

/// The same, where something is changed: owners and admins only.
pub(super) struct ClientEditor(pub(super) ClientConsole);

impl FromRequestParts<Arc<App>> for ClientEditor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let console = ClientConsole::from_request_parts(parts, app).await?;
        if console.may_change() {
            Ok(Self(console))
        } else {
            Err(PageError::Role)
        }
    }
}

impl ClientConsole {
    /// Whether the admin's role lets them change settings; agents look only.
    pub(super) fn may_change(&self) -> bool {
        matches!(self.admin.role(), AdminRole::Owner | AdminRole::Admin)
    }

    /// The console's first page, beneath which all others are.
    pub(super) fn home(&self) -> String {
        format!("/console/{}", self.admin.caller().registered().slug())
    }
}

/// The `{id}` of a page's path. What is no id names nothing, so it is not found like an unknown one.
pub(super) struct PageId<T>(pub(super) T);

impl<T: FromStr> FromRequestParts<Arc<App>> for PageId<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let id = named(parts, app, "id").await?;
        id.parse().map(Self).map_err(|_| PageError::NotFound)
    }
}

/// What stands in the path for a parameter.
async fn named(parts: &mut Parts, app: &Arc<App>, name: &str) -> Result<String, PageError> {
    let parameters = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|_| PageError::NotFound)?;
    let found = parameters.iter().find(|(known, _)| *known == name);
    let (_, value) = found.ok_or(PageError::NotFound)?;
    Ok(value.to_owned())
}
