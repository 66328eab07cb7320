//! Platform API tokens: issued, listed, revoked. The token itself is shown once.

use serde_json::json;
use stoa_domain::ApiTokenId;
use stoa_domain::token::{Token, TokenKind};
use stoa_platform_db::DbError;
use stoa_platform_db::api_tokens::{self, ApiTokenScope, NewApiToken};

use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};

pub use stoa_platform_db::api_tokens::ApiToken;

/// The longest name of a token, in characters.
const LONGEST_NAME: usize = 100;

/// Why a token was not issued or revoked.
#[derive(Debug, thiserror::Error)]
pub enum ApiTokenError {
    /// The name is empty, too long, or holds control characters.
    #[error("a token's name has 1 to {LONGEST_NAME} characters, none of them a control character")]
    Name,
    /// There is no such token, or it is revoked already.
    #[error("there is no such token")]
    NotFound,
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

/// A token that was just issued.
pub struct Issued {
    /// Its id.
    pub id: ApiTokenId,
    /// What people call it.
    pub name: String,
    /// The token, in the clear this once.
    pub token: Token,
}

/// Issues a platform API token.
///
/// # Errors
/// When the name is not fit, or the platform's database fails.
pub async fn create(
    app: &App,
    caller: &PlatformCaller,
    name: &str,
) -> Result<Issued, ApiTokenError> {
    let name = fit_name(name).ok_or(ApiTokenError::Name)?;
    let (new, token) = new_token(app, TokenKind::Platform, ApiTokenScope::Platform, name);
    let mut transaction = app.platform().begin().await?;
    api_tokens::insert(&mut transaction, &new).await?;
    let details = json!({"name": new.name, "hint": new.hint});
    let deed = token_deed("platform_token.created", new.id, details);
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Issued {
        id: new.id,
        name: new.name,
        token,
    })
}

/// All platform API tokens, the newest first, the revoked ones too.
///
/// # Errors
/// When the platform's database fails.
pub async fn list(app: &App, _: &PlatformCaller) -> Result<Vec<ApiToken>, ApiTokenError> {
    let mut connection = app.platform().acquire().await?;
    Ok(api_tokens::list(&mut connection, ApiTokenScope::Platform).await?)
}

/// Revokes a platform API token, at once and for good.
///
/// # Errors
/// When there is no such token, or the platform's database fails.
pub async fn revoke(
    app: &App,
    caller: &PlatformCaller,
    id: ApiTokenId,
) -> Result<(), ApiTokenError> {
    let mut transaction = app.platform().begin().await?;
    let now = app.clock().now();
    if !api_tokens::revoke(&mut transaction, ApiTokenScope::Platform, id, now).await? {
        return Err(ApiTokenError::NotFound);
    }
    let deed = token_deed("platform_token.revoked", id, json!({}));
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(())
}

/// A name without the white space around it, unless it is not fit for a token.
pub(crate) fn fit_name(name: &str) -> Option<String> {
    let name = name.trim();
    let fits =
        (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
}

/// A new token and the row that is kept of it.
pub(crate) fn new_token(
    app: &App,
    kind: TokenKind,
    scope: ApiTokenScope,
    name: String,
) -> (NewApiToken, Token) {
    let token = Token::issue(kind, app.random());
    let new = NewApiToken {
        id: app.new_id(ApiTokenId::generate),
        scope,
        name,
        token: token.hash(),
        hint: token.hint(),
        created_at: app.clock().now(),
    };
    (new, token)
}

fn token_deed(action: &str, id: ApiTokenId, details: serde_json::Value) -> Deed<'_> {
    Deed {
        action,
        target_kind: "platform_token",
        target_id: id.to_string(),
        instance: None,
        reason: None,
        details,
    }
}
