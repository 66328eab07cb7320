//! Keeping what has arrived: saved beside the stream, made final once, and counted.

use std::pin::Pin;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use stoa_client_db::messages::{self, FinishedAnswer};

use super::{Ended, Writer};
use crate::chat::event::Source;
use crate::chat::opening::{AnswerTo, Author, Origin};
use crate::chat::replay::STALE_AFTER;
use crate::chat::{citations, no_answer, notice};
use crate::database::DatabaseError;

/// How often a row shows that its writer lives while nothing new arrives: well within the time
/// after which the sweep takes it for deserted, even when one save fails.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(STALE_AFTER.as_secs() / 4);
/// How often making an answer final is tried, and how long apart.
const FINISH_TRIES: u32 = 4;
const FINISH_PAUSE: Duration = Duration::from_millis(700);

impl Writer {
    /// Makes the answer final, and counts it.
    pub(super) async fn keep(&self, ended: &Ended, origin: &Origin) -> Result<(), ()> {
        let answer = self.finished_answer(ended, origin);
        if let Some(took) = ended.first_token {
            self.app.metrics().count_first_token(took);
        }
        for attempt in 1..=FINISH_TRIES {
            match self.finish_row(&answer).await {
                Ok(()) => {
                    if !matches!(origin.to, AnswerTo::NoBudget(_)) {
                        self.meter(&answer, &origin.by).await;
                    }
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(
                        attempt,
                        code = error.code(),
                        "an answer could not be made final"
                    );
                    tokio::time::sleep(FINISH_PAUSE * attempt).await;
                }
            }
        }
        // Whoever makes the row final counts the answer as well.
        self.spender.leave_to_the_sweep();
        Err(())
    }

    async fn finish_row(&self, answer: &FinishedAnswer) -> Result<(), DatabaseError> {
        let connection = self.app.checkout(&self.registered).await?;
        let changed = messages::finish(&connection, self.live.message(), answer).await?;
        if !changed {
            tracing::warn!(message = %self.live.message(), "the answer was final already");
        }
        Ok(())
    }

    fn finished_answer(&self, ended: &Ended, origin: &Origin) -> FinishedAnswer {
        let body = self.live.body();
        let content = body.text().to_owned();
        let by = &origin.by;
        let unanswered = self.is_unanswered(&content, origin);
        let from_tools = origin.used_tools && !citations::cites_any(&origin.sources, &content);
        FinishedAnswer {
            sources: stored(&citations::noted(
                &origin.sources,
                &content,
                unanswered || from_tools,
            )),
            unanswered,
            steps: stored(body.steps()),
            cost_micros: self.spender.cost(),
            content,
            reason: ended.reason,
            error_code: error_code(ended, origin).map(str::to_owned),
            provider: by.provider.map(|provider| provider.as_str().to_owned()),
            model: Some(by.model.clone()).filter(|model| !model.is_empty()),
            api_configuration_id: by.configuration,
            input_tokens: ended.input_tokens,
            output_tokens: ended.output_tokens,
            first_token_ms: ended.first_token.map(milliseconds),
            total_ms: Some(milliseconds(self.started.elapsed())),
            finished_at: self.app.clock().now(),
        }
    }

    /// Whether the answer only says that nothing was found.
    fn is_unanswered(&self, content: &str, origin: &Origin) -> bool {
        let sentence = &self.contents.instructions.no_answer_message;
        match origin.to {
            AnswerTo::SmallTalk | AnswerTo::NoBudget(_) => false,
            AnswerTo::NothingFound => true,
            AnswerTo::Question if origin.by.is_no_model() => {
                no_answer::begins_with_no_answer(content, sentence)
            }
            AnswerTo::Question => no_answer::is_no_answer(content, sentence),
        }
    }

    /// Counts the answer on the platform's side. What fails here is made good by the sweep, which
    /// compares the client's answers with what was counted.
    async fn meter(&self, answer: &FinishedAnswer, by: &Author) {
        let has_nothing = self.live.body().is_empty();
        if has_nothing {
            return;
        }
        let tokens = (answer.input_tokens, answer.output_tokens);
        let metered = self
            .spender
            .metered(by.model.clone(), tokens, answer.finished_at);
        if let Err(error) = self.app.meter().count(metered).await {
            tracing::error!(%error, message = %self.live.message(), "an answer was not metered yet");
        }
    }
}

/// Why the answer failed, or why no model was asked for it.
fn error_code(ended: &Ended, origin: &Origin) -> Option<&'static str> {
    match (&ended.failure, origin.to) {
        (Some(failure), _) => Some(failure.code),
        (None, AnswerTo::NoBudget(stop)) => Some(notice::code(stop)),
        (None, _) => None,
    }
}

/// A save under way; whether it went well.
type Saving<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Saves what has arrived, one save at a time, beside the stream and never in its way.
pub(super) struct Saver<'a> {
    writer: &'a Writer,
    /// Until they are on their way.
    sources: Option<Vec<Source>>,
    running: Option<Saving<'a>>,
    /// How much of text and steps is saved, or on its way.
    saved: (usize, usize),
    saved_at: Instant,
    /// Whether another save is to follow the running one at once.
    anew: bool,
    /// Whether the last one went well.
    went_well: bool,
}

impl<'a> Saver<'a> {
    pub(super) fn new(writer: &'a Writer, sources: &[Source]) -> Self {
        Self {
            writer,
            sources: Some(sources.to_vec()).filter(|sources| !sources.is_empty()),
            running: None,
            saved: (0, 0),
            saved_at: Instant::now(),
            anew: false,
            went_well: true,
        }
    }

    /// Begins a save when there is something new, or it is time for a sign of life, and none is
    /// running.
    pub(super) fn begin(&mut self) {
        let written = self.writer.live.size();
        let is_due = written != self.saved || self.saved_at.elapsed() >= SIGN_OF_LIFE;
        if self.running.is_some() || !is_due {
            return;
        }
        let news = News {
            sources: self.sources.take(),
            steps: written.1 != self.saved.1,
        };
        (self.saved, self.saved_at) = (written, Instant::now());
        self.running = Some(Box::pin(save(self.writer, news)));
    }

    /// The same, after the running one where one is running.
    pub(super) fn begin_anew(&mut self) {
        self.anew = self.running.is_some();
        self.begin();
    }

    /// Whether a save is under way.
    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether all that had arrived by the last save is kept.
    pub(super) const fn went_well(&self) -> bool {
        self.went_well
    }

    /// Resolves when a running save has ended; never while none runs.
    pub(super) async fn saved(&mut self) {
        self.went_well = match &mut self.running {
            Some(running) => running.await,
            None => std::future::pending().await,
        };
        self.running = None;
        if std::mem::take(&mut self.anew) {
            self.begin();
        }
    }
}

/// What goes into the row beside the text.
#[derive(Default)]
pub(super) struct News {
    /// The sources, where they are not there yet.
    sources: Option<Vec<Source>>,
    /// Whether there are new steps.
    steps: bool,
}

/// Saves what has arrived; whether that went well. A save that fails is made good by the next one.
pub(super) async fn save(writer: &Writer, news: News) -> bool {
    let written = write_row(writer, news).await;
    written
        .inspect_err(|error| {
            tracing::warn!(
                code = error.code(),
                "what has arrived of an answer could not be saved"
            );
        })
        .is_ok()
}

/// The sources go first: whoever follows the row takes its first word or step for a sign that they
/// are there.
async fn write_row(writer: &Writer, news: News) -> Result<(), DatabaseError> {
    let connection = writer.app.checkout(&writer.registered).await?;
    let (now, answer) = (writer.app.clock().now(), writer.live.message());
    if let Some(sources) = &news.sources {
        messages::set_sources(&connection, answer, &stored(sources), now).await?;
    }
    let body = writer.live.body();
    let steps = news.steps.then(|| stored(body.steps()));
    messages::save_partial(&connection, answer, body.text(), steps.as_ref(), now).await?;
    Ok(())
}

fn stored(list: &[impl Serialize]) -> Value {
    serde_json::to_value(list).unwrap_or_else(|_| Value::Array(Vec::new()))
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
