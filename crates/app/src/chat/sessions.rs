//! Conversations as their visitors see them.

use std::sync::Arc;

use stoa_client_db::end_users::{self, SeenEndUser};
use stoa_client_db::feedback::{self, Feedback};
use stoa_client_db::messages::{self, Message};
use stoa_client_db::sessions::{self, NewSession, Session};
use stoa_client_db::{ClientConnection, ClientDbError, Page, PageRequest};
use stoa_domain::token::SessionToken;
use stoa_domain::{EndUserId, InstanceId, MessageId, SessionId};

use super::{ChatError, ShownSources, active, active_instance};
use crate::App;
use crate::access::Visitor;

/// Who a visitor claims to be. Nobody vouches for it.
pub struct ClaimedUser {
    /// The id in the client's own system.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
}

/// A conversation that a visitor begins.
#[derive(Default)]
pub struct Begin {
    /// Who the visitor claims to be.
    pub user: Option<ClaimedUser>,
    /// The visitor's language.
    pub locale: Option<String>,
    /// The page on which it begins.
    pub page_url: Option<String>,
}

/// Begins a conversation with an instance. The token is shown this once.
///
/// # Errors
/// When there is no such instance, it is not active, or its database fails.
pub async fn begin(
    app: &Arc<App>,
    instance: InstanceId,
    begin: Begin,
) -> Result<(Session, SessionToken), ChatError> {
    let registered = active_instance(app, instance).await?;
    let token = SessionToken::issue(instance, app.random());
    let now = app.clock().now();
    let user = begin.user.as_ref();
    let new = NewSession {
        id: app.new_id(SessionId::generate),
        token_hash: token.hash(),
        end_user: None,
        locale: begin.locale,
        page_url: begin.page_url,
        created_at: now,
    };
    let new = &new;
    let session = app
        .in_database(&registered, |connection| async move {
            let end_user = match user {
                Some(user) => claimed(app, &connection, user).await?,
                None => None,
            };
            let new = NewSession {
                end_user,
                ..new.clone()
            };
            sessions::create(&connection, &new).await?;
            sessions::find(&connection, new.id).await
        })
        .await?;
    Ok((session.ok_or(ChatError::NotFound)?, token))
}

/// The end user that a visitor claims to be. A claim never joins a conversation to a person whom
/// the client has vouched for: such a conversation stays nobody's.
async fn claimed(
    app: &App,
    connection: &ClientConnection,
    user: &ClaimedUser,
) -> Result<Option<EndUserId>, ClientDbError> {
    let seen = SeenEndUser {
        id: app.new_id(EndUserId::generate),
        external_id: &user.id,
        name: user.name.as_deref(),
        email: user.email.as_deref(),
        verified: false,
        now: app.clock().now(),
    };
    let known = end_users::upsert(connection, &seen).await?;
    Ok((!known.verified).then_some(known.id))
}

/// The visitor's own conversation.
///
/// # Errors
/// When the token is not this conversation's.
pub async fn find(
    app: &Arc<App>,
    visitor: &Visitor,
    session: SessionId,
) -> Result<Session, ChatError> {
    let registered = active(app, visitor).await?;
    let connection = app.checkout(&registered).await?;
    let found = sessions::find_by_token(&connection, session, visitor.token_hash()).await?;
    found.ok_or(ChatError::NotFound)
}

/// What was said in the visitor's own conversation, oldest first.
///
/// # Errors
/// When the token is not this conversation's.
pub async fn messages(
    app: &Arc<App>,
    visitor: &Visitor,
    session: SessionId,
    page: &PageRequest,
) -> Result<Page<Message>, ChatError> {
    let registered = active(app, visitor).await?;
    let connection = app.checkout(&registered).await?;
    sessions::find_by_token(&connection, session, visitor.token_hash())
        .await?
        .ok_or(ChatError::NotFound)?;
    let mut messages = messages::list(&connection, session, page).await?;
    drop(connection);
    let sources = ShownSources::of(&*app.contents(&registered).await?);
    messages
        .data
        .iter_mut()
        .for_each(|message| sources.apply(message));
    Ok(messages)
}

/// One message of the visitor's own conversation.
///
/// # Errors
/// When there is no such message for this token.
pub async fn message(
    app: &Arc<App>,
    visitor: &Visitor,
    message: MessageId,
) -> Result<Message, ChatError> {
    let registered = active(app, visitor).await?;
    let connection = app.checkout(&registered).await?;
    let found = messages::find_by_token(&connection, message, visitor.token_hash()).await?;
    drop(connection);
    let mut message = found.ok_or(ChatError::NotFound)?;
    ShownSources::of(&*app.contents(&registered).await?).apply(&mut message);
    Ok(message)
}

/// Keeps a visitor's verdict on an answer; a second one replaces the first.
///
/// # Errors
/// When there is no such answer for this token.
pub async fn rate(
    app: &Arc<App>,
    visitor: &Visitor,
    message: MessageId,
    verdict: &Feedback,
) -> Result<(), ChatError> {
    let registered = active(app, visitor).await?;
    let connection = app.checkout(&registered).await?;
    let found = messages::find_by_token(&connection, message, visitor.token_hash()).await?;
    let session = found.ok_or(ChatError::NotFound)?.session_id;
    let kept = feedback::put(&connection, session, message, verdict, app.clock().now()).await?;
    if kept {
        Ok(())
    } else {
        Err(ChatError::NotFound)
    }
}
