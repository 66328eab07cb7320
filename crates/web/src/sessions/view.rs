//! Conversations as the client's people see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use stoa_app::budgets;
use stoa_app::chat::Message;
use stoa_app::sessions::Session;
use stoa_domain::{EndUserId, MessageId, SessionId, SessionStatus};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::chat::MessageView;

/// A conversation.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConversationView {
    /// Its id.
    id: SessionId,
    /// Where it stands: `open` with the bot, in `handoff` to a person, or `closed`.
    status: SessionStatus,
    /// Who chats; null while nobody is known.
    user: Option<PersonView>,
    /// The admin who has taken it over.
    assigned_to: Option<Uuid>,
    /// The visitor's language.
    locale: Option<String>,
    /// The page on which it began.
    page_url: Option<String>,
    /// Its first question, cut to one line.
    title: Option<String>,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When somebody last wrote.
    last_message_at: DateTime<Utc>,
    /// When it was closed.
    closed_at: Option<DateTime<Utc>>,
}

/// Who chats.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonView {
    /// Our id of them.
    id: EndUserId,
    /// Their id in the client's own system.
    external_id: Option<String>,
    /// Their name.
    name: Option<String>,
}

impl From<Session> for ConversationView {
    fn from(session: Session) -> Self {
        let (external_id, name) = (session.end_user_external_id, session.end_user_name);
        Self {
            id: session.id,
            status: session.status,
            user: session.end_user.map(|id| PersonView {
                id,
                external_id,
                name,
            }),
            assigned_to: session.assigned_to,
            locale: session.locale,
            page_url: session.page_url,
            title: session.title,
            created_at: session.created_at,
            last_message_at: session.last_message_at,
            closed_at: session.closed_at,
        }
    }
}

/// A message, with how it came to be.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConversationMessageView {
    #[serde(flatten)]
    message: MessageView,
    /// The code of the failure that ended it.
    error_code: Option<String>,
    /// The provider that answered.
    provider: Option<String>,
    /// The model that answered.
    model: Option<String>,
    /// Tokens read by the model.
    input_tokens: Option<i64>,
    /// Tokens written by the model.
    output_tokens: Option<i64>,
    /// What the answer cost, in millionths of `currency`; null where the price or what was taken is
    /// unknown.
    cost_micros: Option<i64>,
    /// The currency of prices; null where the cost is.
    currency: Option<String>,
    /// The admin who wrote it.
    author_id: Option<Uuid>,
    /// The answer that was made to the same question after this one, which visitors see instead.
    superseded_by: Option<MessageId>,
}

impl From<Message> for ConversationMessageView {
    fn from(message: Message) -> Self {
        Self {
            error_code: message.error_code.clone(),
            provider: message.provider.clone(),
            model: message.model.clone(),
            input_tokens: message.input_tokens,
            output_tokens: message.output_tokens,
            cost_micros: message.cost_micros,
            currency: message.cost_micros.map(|_| budgets::price_table().1),
            author_id: message.author_id,
            superseded_by: message.superseded_by,
            message: message.into(),
        }
    }
}
