//! The chat API's shapes.

use chrono::{DateTime, Utc};
use serde::Serialize;
use stoa_app::chat::event::{Notice, Source, Usage};
use stoa_app::chat::{Message, Session};
use stoa_app::chat::{step, used_sources};
use stoa_domain::{
    DocumentId, FinishReason, MessageId, MessageRole, MessageState, Rating, SessionId,
    SessionStatus,
};
use utoipa::ToSchema;

use super::step::StepView;

/// A conversation.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionView {
    /// Its id.
    id: SessionId,
    /// Where it stands.
    status: SessionStatus,
    /// The visitor's language.
    locale: Option<String>,
    /// Its first question, cut to one line.
    title: Option<String>,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When somebody last wrote.
    last_message_at: DateTime<Utc>,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            status: session.status,
            locale: session.locale,
            title: session.title,
            created_at: session.created_at,
            last_message_at: session.last_message_at,
        }
    }
}

/// A message.
#[derive(Serialize, ToSchema)]
pub(crate) struct MessageView {
    /// Its id.
    id: MessageId,
    /// Who wrote it.
    role: MessageRole,
    /// Its text, in Markdown; what there is of it while it is written.
    content: String,
    /// Whether it is still being written.
    state: MessageState,
    /// Why it ended.
    finish_reason: Option<FinishReason>,
    /// The passages that it was drawn from: those that it cites; all that it was given where it
    /// cites none; none where it says that nothing was found.
    sources: Vec<SourceView>,
    /// The calls of tools that it made, in their order.
    steps: Vec<StepView>,
    /// Whether the answer only says that nothing was found.
    unanswered: bool,
    /// The visitor's verdict on the answer.
    feedback: Option<Rating>,
    /// When it began.
    created_at: DateTime<Utc>,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            id: message.id,
            role: message.role,
            sources: used_sources(&message.sources)
                .into_iter()
                .map(Into::into)
                .collect(),
            steps: step::calls(&message.steps, message.state)
                .into_iter()
                .map(|call| StepView::of(call, &message.content))
                .collect(),
            content: message.content,
            state: message.state,
            finish_reason: message.finish_reason,
            unanswered: message.unanswered,
            feedback: message.rating,
            created_at: message.created_at,
        }
    }
}

impl MessageView {
    /// Takes the sources out, for where they stand beside the message.
    pub(crate) fn take_sources(&mut self) -> Vec<SourceView> {
        std::mem::take(&mut self.sources)
    }
}

/// A passage that an answer was drawn from.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct SourceView {
    /// The number by which the text cites it: `1` for `[1]`.
    source_id: String,
    /// The document it is from.
    document_id: DocumentId,
    /// The document's title and the heading above the passage.
    title: String,
    /// Where the document can be read.
    url: Option<String>,
    /// The passage.
    text: String,
}

impl From<Source> for SourceView {
    fn from(source: Source) -> Self {
        Self {
            source_id: source.source_id,
            document_id: source.document_id,
            title: source.title,
            url: source.url,
            text: source.text,
        }
    }
}

/// What an answer took.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// Tokens read by the model; null when the provider did not say.
    input_tokens: Option<i64>,
    /// Tokens written by the model; null when the provider did not say.
    output_tokens: Option<i64>,
    /// The model that answered.
    model: String,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            model: usage.model,
        }
    }
}

/// Why an answer is no model's.
#[derive(Serialize, ToSchema)]
pub(crate) struct NoticeView {
    /// A stable word: `budget_exhausted`.
    code: &'static str,
    /// When asking again may help; null where that is not known.
    resets_at: Option<DateTime<Utc>>,
}

impl From<Notice> for NoticeView {
    fn from(notice: Notice) -> Self {
        Self {
            code: notice.code,
            resets_at: notice.resets_at,
        }
    }
}
