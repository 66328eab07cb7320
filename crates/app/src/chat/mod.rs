//! A chat turn, from the visitor's question to the saved and metered answer.
//!
//! [`ask`] stores the question and an empty answer in one round trip, before any model is called,
//! and starts the [`writer`]; whoever listens follows the [`live::LiveAnswer`]. Everything here
//! takes a [`Visitor`]: the bearer of one conversation's token, which every query checks.

mod again;
mod approvals;
pub mod body;
pub(crate) mod calling;
mod citations;
mod error;
pub mod event;
mod follow_up;
pub mod live;
mod no_answer;
mod notice;
pub(crate) mod opening;
pub(crate) mod prompt;
mod replay;
pub mod retrieval;
pub mod sessions;
mod small_talk;
pub mod step;
mod summary;
pub mod sweep;
pub(crate) mod took;
pub(crate) mod turns;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
pub use stoa_client_db::messages::Message;
use stoa_client_db::messages::{self, HistoryMessage, Known, NewTurn, TurnStart};
use stoa_domain::{FinishReason, InstanceId, InstanceStatus, MessageId, MessageState, SessionId};

pub use again::regenerate;
pub use approvals::decide;
pub(crate) use citations::{cites_any, noted};
pub use error::ChatError;
pub(crate) use no_answer::is_no_answer;
pub use replay::used_sources;
pub use stoa_client_db::feedback::Feedback;
pub use stoa_client_db::sessions::Session;

use crate::App;
use crate::access::Visitor;
use crate::budgets::Payer;
use crate::contents::Contents;
use crate::registry::Registered;
pub use crate::tools::Offered;
use crate::turns::Place;
use event::Cursor;
use live::{Listener, LiveAnswer};
use writer::Writer;

/// The longest message of a visitor, in characters.
pub const LONGEST_MESSAGE: usize = 16_000;
/// How long an answer waits for the visitor's word on a call of a tool, unless a test says otherwise.
pub const CONFIRMATION_WAIT: Duration = Duration::from_secs(120);
/// How many earlier messages a model may be given.
pub(crate) const HISTORY: u16 = 40;

/// A visitor's message.
pub struct Question {
    /// What was written.
    pub content: String,
    /// What the sender calls it, so that sending it again changes nothing.
    pub client_message_id: Option<String>,
    /// Which tools may be called for it: all by those who can be asked back.
    pub offered: Offered,
}

/// What came of a visitor's message.
pub enum Asked {
    /// The bot answers.
    Answer(Listener),
    /// A person answers this conversation; the message waits for them.
    HandedOver,
}

/// Takes a visitor's message and starts its answer.
///
/// # Errors
/// When the message is unfit, the conversation unknown, the instance not active, or nobody could
/// say a first word.
pub async fn ask(
    app: &Arc<App>,
    visitor: &Visitor,
    session: SessionId,
    question: Question,
) -> Result<Asked, ChatError> {
    let started = Instant::now();
    let content = checked(&question.content)?;
    let registered = active(app, visitor).await?;
    let place = app.take_turn(registered.id()).ok_or(ChatError::Busy)?;
    let contents = app.contents(&registered).await?;
    app.note_activity(registered.id()).await?;
    let (answer, user_message) = (
        app.new_id(MessageId::generate),
        app.new_id(MessageId::generate),
    );
    let created_at = app.clock().now();
    let turn = NewTurn {
        session,
        token_hash: visitor.token_hash(),
        user_message,
        answer,
        client_message_id: question.client_message_id.as_deref(),
        content,
        history: HISTORY,
        now: created_at,
    };
    let turn = &turn;
    let begun = app
        .in_database(&registered, |connection| async move {
            messages::begin_turn(&connection, turn).await
        })
        .await?;
    match begun.ok_or(ChatError::NotFound)? {
        TurnStart::HandedOver { .. } | TurnStart::Existing { answer: None, .. } => {
            Ok(Asked::HandedOver)
        }
        TurnStart::Existing {
            answer: Some(message),
            ..
        } if is_without_a_word(&message) => {
            drop(place);
            again::try_anew(app, visitor, &registered, *message, question.offered).await
        }
        TurnStart::Existing {
            answer: Some(message),
            ..
        } => {
            let live = live_or_stored(app, &registered, *message).await?;
            opened(&live, Cursor::default()).await.map(Asked::Answer)
        }
        TurnStart::New {
            end_user,
            history,
            has_passages,
            known,
        } => {
            let payer = Payer {
                end_user,
                session: Some(session),
                address: visitor.address(),
            };
            let beginning = Beginning {
                session,
                payer,
                answer,
                question: question.content,
                offered: question.offered,
                history,
                has_passages,
                known,
                created_at,
                started,
            };
            let listener = start(app, registered, contents, beginning, place).await?;
            Ok(Asked::Answer(listener))
        }
    }
}

/// Whether nobody could say the first word of an answer, so that there is none to give again.
fn is_without_a_word(answer: &Message) -> bool {
    let has_steps = answer.steps.as_array().is_some_and(|it| !it.is_empty());
    answer.finish_reason == Some(FinishReason::Error) && answer.content.is_empty() && !has_steps
}

/// A turn that is stored and has an answer to be written.
struct Beginning {
    session: SessionId,
    payer: Payer,
    answer: MessageId,
    question: String,
    offered: Offered,
    history: Vec<HistoryMessage>,
    has_passages: bool,
    known: Known,
    created_at: DateTime<Utc>,
    started: Instant,
}

/// Starts the writer of an answer, and waits for its first word.
async fn start(
    app: &Arc<App>,
    registered: Arc<Registered>,
    contents: Arc<Contents>,
    beginning: Beginning,
    place: Place,
) -> Result<Listener, ChatError> {
    let live = LiveAnswer::new(beginning.answer, beginning.session);
    let listener = live.listen(Cursor::default());
    let writer = Writer::new(
        app,
        registered,
        contents,
        Arc::clone(&live),
        beginning,
        place,
    );
    let entered = app.live_answers().enter(&live);
    app.tasks().spawn(async move {
        writer.run().await;
        drop(entered);
    });
    live.opened().await.map_err(ChatError::NoAnswer)?;
    Ok(listener)
}

/// Goes on with an answer after a position, wherever it is written; replays a finished one.
///
/// # Errors
/// When there is no such answer for this visitor.
pub async fn resume(
    app: &Arc<App>,
    visitor: &Visitor,
    message: MessageId,
    after: Cursor,
) -> Result<Listener, ChatError> {
    let registered = active(app, visitor).await?;
    let found = {
        let connection = app.checkout(&registered).await?;
        messages::find_by_token(&connection, message, visitor.token_hash()).await?
    };
    let message = found.ok_or(ChatError::NotFound)?;
    let live = live_or_stored(app, &registered, message).await?;
    opened(&live, after).await
}

/// Stops what is being written in a conversation, in whichever process.
///
/// # Errors
/// When there is no such conversation for this visitor.
pub async fn stop(app: &Arc<App>, visitor: &Visitor, session: SessionId) -> Result<(), ChatError> {
    sessions::find(app, visitor, session).await?;
    if !app.live_answers().stop_session(session) {
        app.signal_stop(session).await?;
    }
    Ok(())
}

async fn opened(live: &Arc<LiveAnswer>, after: Cursor) -> Result<Listener, ChatError> {
    let listener = live.listen(after);
    live.opened().await.map_err(ChatError::NoAnswer)?;
    Ok(listener)
}

/// The answer as it is being written here, or from its row.
async fn live_or_stored(
    app: &Arc<App>,
    registered: &Arc<Registered>,
    mut message: Message,
) -> Result<Arc<LiveAnswer>, ChatError> {
    if let Some(live) = app.live_answers().find(message.id) {
        return Ok(live);
    }
    let sources = ShownSources::of(&*app.contents(registered).await?);
    if message.state == MessageState::Streaming {
        return Ok(replay::follow(
            app,
            Arc::clone(registered),
            &message,
            sources,
        ));
    }
    sources.apply(&mut message);
    Ok(replay::finished(&message))
}

/// Whether visitors see what an answer was drawn from. The client's own people always do.
#[derive(Clone, Copy)]
struct ShownSources(bool);

impl ShownSources {
    const fn of(contents: &Contents) -> Self {
        Self(contents.live.display.show_sources)
    }

    /// Takes the sources out of a message where they are not shown.
    fn apply(self, message: &mut Message) {
        if !self.0 {
            message.sources = serde_json::Value::Array(Vec::new());
        }
    }
}

fn checked(content: &str) -> Result<&str, ChatError> {
    if content.trim().is_empty() {
        return Err(ChatError::EmptyMessage);
    }
    if content.chars().count() > LONGEST_MESSAGE {
        return Err(ChatError::LongMessage {
            limit: LONGEST_MESSAGE,
        });
    }
    Ok(content)
}

/// The visitor's instance, if it answers anybody.
async fn active(app: &App, visitor: &Visitor) -> Result<Arc<Registered>, ChatError> {
    active_instance(app, visitor.instance()).await
}

/// An instance, if it answers anybody.
async fn active_instance(app: &App, id: InstanceId) -> Result<Arc<Registered>, ChatError> {
    let registered = app.registered(id).await?.ok_or(ChatError::NotFound)?;
    match registered.status() {
        InstanceStatus::Active => Ok(registered),
        InstanceStatus::Suspended => Err(ChatError::Suspended),
        InstanceStatus::AwaitingSetup | InstanceStatus::Deleting => Err(ChatError::NotActive),
    }
}
