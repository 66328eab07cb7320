//! Answers that are not being written in this process: replayed from the row, or followed in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use stoa_client_db::messages::{self, Message};
use stoa_domain::{FinishReason, MessageState};

use super::body::Body;
use super::event::{Event, Failure, Source, Usage};
use super::live::LiveAnswer;
use super::step::TextPart;
use super::{ShownSources, notice};
use crate::App;
use crate::database::DatabaseError;
use crate::registry::Registered;

/// How often the row of an answer that another process writes is read.
const POLL: Duration = Duration::from_millis(400);
/// How often whoever follows a row makes it final if its writer is gone: sooner than the sweep comes
/// by, since somebody waits.
const LOOK_FOR_WRITER: Duration = Duration::from_secs(2);
/// How often whoever follows a row tells its writer that somebody listens: well within the time after
/// which a writer gives up.
const TELL_WRITER: Duration = Duration::from_secs(4);
/// An answer without a sign of life for so long has lost its writer, which gives one in a quarter of it.
pub const STALE_AFTER: Duration = Duration::from_secs(20);

/// A stored answer as a live one that has ended.
#[must_use]
pub fn finished(message: &Message) -> Arc<LiveAnswer> {
    let live = LiveAnswer::new(message.id, message.session_id);
    live.open(preamble(message));
    let mut body = Body::stored(&message.content, &message.steps);
    body.end_calls();
    live.extend_to(&body);
    live.close(tail(message, &body));
    live
}

/// What comes before a stored answer's text.
fn preamble(message: &Message) -> Vec<Event> {
    let mut events = vec![Event::Start {
        message: message.id,
        session: message.session_id,
        created_at: message.created_at,
    }];
    events.extend(
        stored_sources(&message.sources)
            .into_iter()
            .map(Event::Source),
    );
    if message.finish_reason == Some(FinishReason::Stop) {
        let notice = notice::stored(message.error_code.as_deref(), message.created_at);
        events.extend(notice.map(Event::Notice));
    }
    events.push(Event::TextStart);
    events
}

/// The sources as they were offered and stored; what cannot be read is left out, since the client's database
/// may hold anything.
#[must_use]
pub fn stored_sources(stored: &serde_json::Value) -> Vec<Source> {
    serde_json::from_value(stored.clone()).unwrap_or_default()
}

/// The sources that a stored answer was drawn from: what people are shown beside it.
#[must_use]
pub fn used_sources(stored: &serde_json::Value) -> Vec<Source> {
    let mut sources = stored_sources(stored);
    sources.retain(|source| source.used);
    sources
}

/// What comes after a stored answer's text.
fn tail(message: &Message, body: &Body) -> Vec<Event> {
    let reason = message.finish_reason.unwrap_or(FinishReason::Interrupted);
    let error_code = message.error_code.as_deref();
    ending(reason, error_code, body.open_part(), || Usage {
        input_tokens: message.input_tokens,
        output_tokens: message.output_tokens,
        model: message.model.clone().unwrap_or_default(),
        finish_reason: reason,
    })
}

/// The events that end an answer: three and `[DONE]` when it ended, an error and `[DONE]` when it
/// failed or broke off. Where the last thing was a step, no part of the text is there to be ended.
pub(super) fn ending(
    reason: FinishReason,
    error_code: Option<&str>,
    open_part: Option<TextPart>,
    usage: impl FnOnce() -> Usage,
) -> Vec<Event> {
    match reason {
        FinishReason::Error | FinishReason::Interrupted => {
            vec![
                Event::Error(stored_failure(reason, error_code)),
                Event::Done,
            ]
        }
        _ => {
            let ends = [Event::Usage(usage()), Event::Finish, Event::Done];
            let text_ends = open_part.map(Event::TextEnd);
            text_ends.into_iter().chain(ends).collect()
        }
    }
}

fn stored_failure(reason: FinishReason, code: Option<&str>) -> Failure {
    const KNOWN: [&str; 8] = [
        "ai_overloaded",
        "ai_context_too_long",
        "ai_content_filtered",
        "ai_timeout",
        "ai_interrupted",
        "ai_unavailable",
        "ai_not_configured",
        "answer_too_large",
    ];
    let known = code.and_then(|code| KNOWN.into_iter().find(|known| *known == code));
    let (fallback, text) = match reason {
        FinishReason::Interrupted => ("interrupted", "The answer broke off. Please ask again."),
        _ => ("answer_failed", "There was no answer. Please ask again."),
    };
    Failure {
        code: known.unwrap_or(fallback),
        text: text.into(),
        retryable: true,
        wait: None,
    }
}

/// Follows an answer that another process writes, by its row, until it is final or its writer is
/// gone.
pub(super) fn follow(
    app: &Arc<App>,
    registered: Arc<Registered>,
    message: &Message,
    sources: ShownSources,
) -> Arc<LiveAnswer> {
    let live = LiveAnswer::new(message.id, message.session_id);
    let task = follow_row(Arc::clone(app), registered, Arc::clone(&live), sources);
    app.tasks().spawn(task);
    live
}

async fn follow_row(
    app: Arc<App>,
    registered: Arc<Registered>,
    live: Arc<LiveAnswer>,
    sources: ShownSources,
) {
    let shutdown = app.shutdown().clone();
    let (mut looked, mut told) = (Instant::now(), None::<Instant>);
    loop {
        let is_heard = live.deserted_for() < POLL;
        if is_heard && told.is_none_or(|it| it.elapsed() >= TELL_WRITER) {
            app.tell_answer_followed(live.message()).await;
            told = Some(Instant::now());
        }
        if looked.elapsed() >= LOOK_FOR_WRITER {
            close_if_deserted(&app, &registered, &live).await;
            looked = Instant::now();
        }
        match read_row(&app, &registered, &live, sources).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(failure) => {
                // Either of the two ends the wait of whoever listens.
                live.fail_to_open(failure.clone());
                return live.close(vec![Event::Error(failure), Event::Done]);
            }
        }
        let nobody_waits = live.deserted_for() > POLL * 5;
        tokio::select! {
            () = tokio::time::sleep(POLL) => if nobody_waits { return },
            () = shutdown.cancelled() => return live.close(vec![Event::Error(restarting()), Event::Done]),
        }
    }
}

/// Makes the row final if nobody writes it any more. What fails here is left to the sweep, which also
/// counts the answer.
async fn close_if_deserted(app: &App, registered: &Registered, live: &LiveAnswer) {
    let now = app.clock().now();
    let stale = now - TimeDelta::from_std(STALE_AFTER).unwrap_or_default();
    let closed = async {
        let connection = app.checkout(registered).await?;
        let closed = messages::interrupt_if_stale(&connection, live.message(), stale, now).await?;
        Ok::<_, DatabaseError>(closed)
    };
    match closed.await {
        Ok(true) => {
            tracing::info!(instance = %registered.id(), message = %live.message(), "an answer without a writer was closed");
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(
                code = error.code(),
                "an answer without a writer could not be closed"
            );
        }
    }
}

/// Brings the live answer up to what the row holds; true when it is final.
async fn read_row(
    app: &App,
    registered: &Registered,
    live: &LiveAnswer,
    sources: ShownSources,
) -> Result<bool, Failure> {
    let row = find_row(app, registered, live).await.map_err(|error| {
        tracing::warn!(code = error.code(), "an answer's row could not be followed");
        unreadable()
    })?;
    let Some(mut message) = row else {
        return Err(stored_failure(FinishReason::Error, None));
    };
    sources.apply(&mut message);
    let is_final = message.state == MessageState::Complete;
    let mut body = Body::stored(&message.content, &message.steps);
    if is_final {
        body.end_calls();
    }
    // The sources are stored before the first word or step, so the preamble is known from there.
    if is_final || !body.is_empty() {
        live.open_once(preamble(&message));
        live.extend_to(&body);
    }
    if is_final {
        live.close(tail(&message, &body));
    }
    Ok(is_final)
}

async fn find_row(
    app: &App,
    registered: &Registered,
    live: &LiveAnswer,
) -> Result<Option<Message>, DatabaseError> {
    let connection = app.checkout(registered).await?;
    Ok(messages::find(&connection, live.session(), live.message()).await?)
}

fn unreadable() -> Failure {
    Failure {
        code: "database_unavailable",
        text: "The conversation cannot be read right now. Please try again.".into(),
        retryable: true,
        wait: None,
    }
}

pub(super) fn restarting() -> Failure {
    Failure {
        code: "restarting",
        text: "The server is restarting. The conversation goes on in a moment.".into(),
        retryable: true,
        wait: None,
    }
}
