//! One-time links by which an admin sets a password.

use chrono::{DateTime, TimeDelta, Utc};
use stoa_domain::SignInLinkId;
use stoa_domain::token::{Token, TokenKind};
use stoa_platform_db::account::AccountId;
use stoa_platform_db::sign_in_links::{self, NewSignInLink};
use stoa_platform_db::{DbError, PgConnection};
use url::Url;

use crate::App;

/// A link, shown this once.
#[derive(Clone, Debug)]
pub struct SetupLink {
    /// The address to open. A secret: whoever has it may set the password.
    pub url: Url,
    /// Until when it works.
    pub expires_at: DateTime<Utc>,
}

/// Issues a link; earlier ones of the same account stop working.
pub(crate) async fn issue(
    app: &App,
    connection: &mut PgConnection,
    account: AccountId,
    life: TimeDelta,
) -> Result<SetupLink, DbError> {
    let token = Token::issue(TokenKind::SignInLink, app.random());
    let created_at = app.clock().now();
    let new = NewSignInLink {
        id: app.new_id(SignInLinkId::generate),
        account,
        token: token.hash(),
        created_at,
        expires_at: created_at + life,
    };
    sign_in_links::issue(connection, &new).await?;
    let mut url = app.settings().public_url.clone();
    url.set_path("/setup");
    url.query_pairs_mut()
        .clear()
        .append_pair("token", token.expose());
    Ok(SetupLink {
        url,
        expires_at: new.expires_at,
    })
}
