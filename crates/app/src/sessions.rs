//! Conversations as the client's people see them: found, read, taken over, answered, closed.

use stoa_client_db::messages::{self, Message};
use stoa_client_db::sessions;
use stoa_client_db::{ClientDbError, Page, PageRequest, PooledConnection};
use stoa_domain::{InstanceAdminId, MessageId, SessionId};
use stoa_platform_db::{DbError, instance_admins};

pub use stoa_client_db::sessions::{Session, SessionFilter};

use crate::App;
use crate::access::{Actor, ClientCaller};
use crate::chat::LONGEST_MESSAGE;
use crate::database::DatabaseError;

/// Why a conversation was not found or changed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no such conversation.
    #[error("there is no such conversation")]
    NotFound,
    /// The message has nothing in it.
    #[error("the message is empty")]
    EmptyMessage,
    /// The message is too long.
    #[error("the message is longer than {LONGEST_MESSAGE} characters")]
    LongMessage,
    /// Nobody of this instance has this id.
    #[error("this instance has no such admin")]
    UnknownAdmin,
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<ClientDbError> for SessionError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// Conversations by their last message, newest first.
///
/// # Errors
/// When the client's database fails.
pub async fn list(
    app: &App,
    caller: &ClientCaller,
    filter: &SessionFilter,
    page: &PageRequest,
) -> Result<Page<Session>, SessionError> {
    let connection = app.checkout(caller.registered()).await?;
    Ok(sessions::list(&connection, filter, page).await?)
}

/// One conversation.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn find(
    app: &App,
    caller: &ClientCaller,
    id: SessionId,
) -> Result<Session, SessionError> {
    let connection = app.checkout(caller.registered()).await?;
    found(&connection, id).await
}

/// What was said in a conversation, oldest first, with the earlier versions of answers.
///
/// # Errors
/// When there is none with this id, or the client's database fails.
pub async fn messages(
    app: &App,
    caller: &ClientCaller,
    id: SessionId,
    page: &PageRequest,
) -> Result<Page<Message>, SessionError> {
    let connection = app.checkout(caller.registered()).await?;
    found(&connection, id).await?;
    Ok(messages::list_versions(&connection, id, page).await?)
}

/// Writes to the visitor as a person. That takes the conversation over: the bot is silent in it
/// until it is closed, and a closed one is taken up again.
///
/// # Errors
/// When there is no such conversation, the message is unfit, or a database fails.
pub async fn reply(
    app: &App,
    caller: &ClientCaller,
    session: SessionId,
    content: &str,
) -> Result<Message, SessionError> {
    if content.trim().is_empty() {
        return Err(SessionError::EmptyMessage);
    }
    if content.chars().count() > LONGEST_MESSAGE {
        return Err(SessionError::LongMessage);
    }
    let connection = app.checkout(caller.registered()).await?;
    let id = app.new_id(MessageId::generate);
    let author = signed_in(caller).map(|id| id.as_uuid());
    let now = app.clock().now();
    if !messages::add_agent_message(&connection, session, id, author, content, now).await? {
        return Err(SessionError::NotFound);
    }
    let message = messages::find(&connection, session, id).await?;
    drop(connection);
    app.tell_session_changed(session).await;
    message.ok_or(SessionError::NotFound)
}

/// Hands a conversation to a person: the one named, else the one who asks, else whoever comes. The
/// bot is silent in it until it is closed.
///
/// # Errors
/// When there is no such conversation or person, or a database fails.
pub async fn assign(
    app: &App,
    caller: &ClientCaller,
    session: SessionId,
    admin: Option<InstanceAdminId>,
) -> Result<Session, SessionError> {
    if let Some(admin) = admin {
        require_admin(app, caller, admin).await?;
    }
    let admin = admin
        .or_else(|| signed_in(caller))
        .map(|admin| admin.as_uuid());
    let connection = app.checkout(caller.registered()).await?;
    if !sessions::assign(&connection, session, admin).await? {
        return Err(SessionError::NotFound);
    }
    changed(app, connection, session).await
}

/// Ends a conversation. Its visitor's next message opens it again, and the bot answers.
///
/// # Errors
/// When there is no such conversation, or the client's database fails.
pub async fn close(
    app: &App,
    caller: &ClientCaller,
    session: SessionId,
) -> Result<Session, SessionError> {
    let connection = app.checkout(caller.registered()).await?;
    if !sessions::close(&connection, session, app.clock().now()).await? {
        return Err(SessionError::NotFound);
    }
    changed(app, connection, session).await
}

async fn found(connection: &PooledConnection, id: SessionId) -> Result<Session, SessionError> {
    let session = sessions::find(connection, id).await?;
    session.ok_or(SessionError::NotFound)
}

async fn changed(
    app: &App,
    connection: PooledConnection,
    id: SessionId,
) -> Result<Session, SessionError> {
    let session = found(&connection, id).await?;
    drop(connection);
    app.tell_session_changed(id).await;
    Ok(session)
}

/// The person who asks; a key is nobody in particular.
fn signed_in(caller: &ClientCaller) -> Option<InstanceAdminId> {
    match caller.actor() {
        Actor::ClientAdmin(admin) => Some(admin),
        _ => None,
    }
}

async fn require_admin(
    app: &App,
    caller: &ClientCaller,
    admin: InstanceAdminId,
) -> Result<(), SessionError> {
    let mut connection = app.platform().acquire().await?;
    let known = instance_admins::find(&mut connection, caller.instance(), admin).await?;
    known.map(|_| ()).ok_or(SessionError::UnknownAdmin)
}
