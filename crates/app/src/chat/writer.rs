//! Writing one answer: find passages, open a model's stream, pass it on, keep it, meter it.
//!
//! The writer is a task of its own, so it goes on when its listener leaves. It holds no database
//! connection while a model talks; it saves what has arrived every second or two; it makes the
//! answer final by compare-and-set, so that a sweep and a writer never both do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;
use stoa_ai::{AiError, AnswerEvent, AnswerStream, ChatRequest, Turn, passages};
use stoa_client_db::messages::{self, FinishedAnswer, HistoryMessage};
use stoa_domain::{AnswerPolicy, FinishReason, MessageRole, Provider};
use tokio::time::MissedTickBehavior;

use super::error::{nobody_configured, not_saved, visitor_failure};
use super::event::{Event, Failure, Source, Usage};
use super::live::LiveAnswer;
use super::{prompt, replay, retrieval};
use crate::App;
use crate::contents::{Contents, Model};
use crate::database::DatabaseError;
use crate::meter::Metered;
use crate::registry::Registered;

/// How often what has arrived is saved.
const SAVE_EVERY: Duration = Duration::from_millis(1_500);
/// How long a visitor may be away before the model is hung up.
const GRACE: Duration = Duration::from_secs(15);
/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;
/// How often making an answer final is tried, and how long apart.
const FINISH_TRIES: u32 = 4;
const FINISH_PAUSE: Duration = Duration::from_millis(700);

/// What the writer of one answer needs.
pub(super) struct Writer {
    pub(super) app: Arc<App>,
    pub(super) registered: Arc<Registered>,
    pub(super) contents: Arc<Contents>,
    pub(super) live: Arc<LiveAnswer>,
    pub(super) question: String,
    pub(super) history: Vec<HistoryMessage>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) started: Instant,
}

/// Who answers and where the words come from.
struct Opened {
    stream: AnswerStream,
    by: Author,
}

/// Who answered, for the record.
#[derive(Clone, Default)]
struct Author {
    provider: Option<Provider>,
    model: String,
    configuration: Option<stoa_domain::ApiConfigurationId>,
}

/// How an answer ended.
struct Ended {
    reason: FinishReason,
    failure: Option<Failure>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    first_token: Option<Duration>,
}

impl Ended {
    const fn because(reason: FinishReason) -> Self {
        Self {
            reason,
            failure: None,
            input_tokens: None,
            output_tokens: None,
            first_token: None,
        }
    }

    fn failed(reason: FinishReason, failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::because(reason)
        }
    }
}

impl Writer {
    /// Writes the answer to its end.
    pub(super) async fn run(self) {
        let sources = match self.find_sources().await {
            Ok(sources) => sources,
            Err(error) => {
                tracing::warn!(code = error.code(), "retrieval failed");
                return self
                    .fail_to_open(Failure {
                        code: "database_unavailable",
                        text:
                            "The assistant cannot reach its documents right now. Please try again."
                                .into(),
                        retryable: true,
                    })
                    .await;
            }
        };
        let opened = tokio::select! {
            opened = self.open(&sources) => opened,
            () = self.live.stopped() => return self.cancel_before_opening(&sources).await,
        };
        match opened {
            Ok(opened) => {
                self.live.open(self.preamble(&sources));
                let (ended, by) = self.pass_on(opened, &sources).await;
                self.close(ended, by, &sources).await;
            }
            Err(failure) => self.fail_to_open(failure).await,
        }
    }

    async fn find_sources(&self) -> Result<Vec<Source>, DatabaseError> {
        let instructions = &self.contents.instructions;
        let top_k = u16::from(instructions.top_k);
        let hits = retrieval::find(
            &self.app,
            &self.contents,
            &self.registered,
            &self.question,
            top_k,
        )
        .await?;
        Ok(retrieval::sources(hits, instructions.min_score))
    }

    /// Asks the configured models in order until one says its first word.
    async fn open(&self, sources: &[Source]) -> Result<Opened, Failure> {
        if self.contents.models.is_empty() {
            return Err(nobody_configured());
        }
        let documents_only =
            self.contents.instructions.answer_policy == AnswerPolicy::DocumentsOnly;
        if sources.is_empty() && documents_only {
            let stream = passages::answer(&self.question, &[], &self.contents.no_answer_wording());
            return Ok(Opened {
                stream,
                by: Author::default(),
            });
        }
        let mut last = nobody_configured();
        for model in &self.contents.models {
            match self.ask(model, sources).await {
                Ok(stream) => {
                    return Ok(Opened {
                        stream,
                        by: Author::of(model),
                    });
                }
                Err(error) => {
                    tracing::warn!(
                        instance = %self.registered.id(),
                        configuration = %model.id,
                        code = error.code().as_str(),
                        detail = error.detail(),
                        "a model did not answer"
                    );
                    last = visitor_failure(&error);
                    if !error.falls_through() {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    async fn ask(&self, model: &Model, sources: &[Source]) -> Result<AnswerStream, AiError> {
        if model.endpoint.provider == Provider::Passages {
            let wording = self.contents.passages_wording();
            return Ok(passages::answer(
                &self.question,
                &quotable(sources),
                &wording,
            ));
        }
        self.app
            .ai()
            .stream(&model.endpoint, &self.request(model, sources))
            .await
    }

    fn request(&self, model: &Model, sources: &[Source]) -> ChatRequest {
        let name = self.registered.display_name(&self.contents.live);
        let fitting =
            prompt::fitting_history(self.history.iter().rev().map(|said| said.content.as_str()));
        let earlier = self.history[self.history.len() - fitting..]
            .iter()
            .map(|said| Turn {
                role: said.role,
                content: said.content.clone(),
            });
        let question = Turn {
            role: MessageRole::User,
            content: self.question.clone(),
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a temperature needs no more digits"
        )]
        ChatRequest {
            model: model.model.clone(),
            system: prompt::system_prompt(name, &self.contents.instructions, sources),
            messages: earlier.chain([question]).collect(),
            temperature: model.temperature.map(|temperature| temperature as f32),
            max_output_tokens: model
                .max_output_tokens
                .and_then(|tokens| u32::try_from(tokens).ok()),
        }
    }

    fn preamble(&self, sources: &[Source]) -> Vec<Event> {
        let start = Event::Start {
            message: self.live.message(),
            session: self.live.session(),
            created_at: self.created_at,
        };
        let shown = sources
            .iter()
            .filter(|_| self.contents.live.display.show_sources);
        let mut events = vec![start];
        events.extend(shown.cloned().map(Event::Source));
        events.push(Event::TextStart);
        events
    }

    /// Passes the model's words on until they end, whoever ends them.
    async fn pass_on(&self, opened: Opened, sources: &[Source]) -> (Ended, Author) {
        let Opened { mut stream, mut by } = opened;
        let mut ended = Ended::because(FinishReason::Interrupted);
        let mut tick = tokio::time::interval(SAVE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        let mut saver = Saver::new(self, sources);
        let mut written = 0;
        loop {
            tokio::select! {
                biased;
                () = self.live.stopped() => {
                    ended.reason = FinishReason::Cancelled;
                    break;
                }
                event = stream.next() => match event {
                    Some(Ok(AnswerEvent::Text(text))) => {
                        ended.first_token.get_or_insert_with(|| self.started.elapsed());
                        written += text.len();
                        self.live.push(&text);
                        if written > LONGEST_ANSWER {
                            ended.reason = FinishReason::Length;
                            break;
                        }
                    }
                    Some(Ok(AnswerEvent::Usage { input_tokens, output_tokens })) => {
                        ended.input_tokens = i64::try_from(input_tokens).ok();
                        ended.output_tokens = i64::try_from(output_tokens).ok();
                    }
                    Some(Ok(AnswerEvent::Finish(reason))) => {
                        ended.reason = reason;
                        break;
                    }
                    Some(Err(error)) => {
                        tracing::warn!(code = error.code().as_str(), detail = error.detail(), "an answer broke off");
                        ended.failure = Some(visitor_failure(&error));
                        break;
                    }
                    None => break,
                },
                _ = tick.tick() => {
                    if self.live.deserted_for() >= GRACE {
                        ended.reason = FinishReason::Cancelled;
                        break;
                    }
                    saver.begin(written);
                }
                () = saver.saved() => {}
                () = self.app.shutdown().cancelled() => {
                    ended.failure = Some(replay::restarting());
                    break;
                }
            }
        }
        if let Some(model) = stream.model() {
            model.clone_into(&mut by.model);
        }
        (ended, by)
    }

    /// Makes the answer final, meters it, and says so; in that order, so that an answer that was
    /// seen to finish is kept and counted.
    async fn close(&self, ended: Ended, by: Author, sources: &[Source]) {
        let tail = match self.keep(&ended, &by, sources).await {
            Ok(()) => self.tail(&ended, &by),
            Err(()) => vec![Event::Error(not_saved()), Event::Done],
        };
        self.live.close(tail);
    }

    fn tail(&self, ended: &Ended, by: &Author) -> Vec<Event> {
        if let Some(failure) = &ended.failure {
            return vec![Event::Error(failure.clone()), Event::Done];
        }
        replay::ending(ended.reason, None, || Usage {
            input_tokens: ended.input_tokens,
            output_tokens: ended.output_tokens,
            model: by.model.clone(),
            finish_reason: ended.reason,
        })
    }

    /// There will be no answer: the row says why, and so is whoever waits told.
    async fn fail_to_open(&self, failure: Failure) {
        let ended = Ended::failed(FinishReason::Error, failure.clone());
        // When even this cannot be kept, the sweep will find the row; the visitor is told either way.
        let _ = self.keep(&ended, &Author::default(), &[]).await;
        self.live.fail_to_open(failure);
    }

    async fn cancel_before_opening(&self, sources: &[Source]) {
        self.live.open(self.preamble(sources));
        self.close(
            Ended::because(FinishReason::Cancelled),
            Author::default(),
            sources,
        )
        .await;
    }

    async fn keep(&self, ended: &Ended, by: &Author, sources: &[Source]) -> Result<(), ()> {
        let answer = self.finished_answer(ended, by, sources);
        for attempt in 1..=FINISH_TRIES {
            match self.finish_row(&answer).await {
                Ok(()) => {
                    self.meter(&answer, by).await;
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

    fn finished_answer(&self, ended: &Ended, by: &Author, sources: &[Source]) -> FinishedAnswer {
        FinishedAnswer {
            content: self.live.text(),
            reason: ended.reason,
            error_code: ended
                .failure
                .as_ref()
                .map(|failure| failure.code.to_owned()),
            sources: stored(sources),
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

    /// Counts the answer on the platform's side. What fails here is made good by the sweep, which
    /// compares the client's answers with what was counted.
    async fn meter(&self, answer: &FinishedAnswer, by: &Author) {
        if answer.content.is_empty() {
            return;
        }
        let metered = Metered {
            instance: self.registered.id(),
            message: self.live.message(),
            model: by.model.clone(),
            input_tokens: answer.input_tokens,
            output_tokens: answer.output_tokens,
            at: answer.finished_at,
        };
        if let Err(error) = self.app.meter().count(metered).await {
            tracing::error!(%error, message = %self.live.message(), "an answer was not metered yet");
        }
    }
}

impl Author {
    fn of(model: &Model) -> Self {
        Self {
            provider: Some(model.endpoint.provider),
            model: model.model.clone(),
            configuration: Some(model.id),
        }
    }
}

type Saving<'a> = Pin<Box<dyn Future<Output = Result<(), DatabaseError>> + Send + 'a>>;

/// Saves what has arrived, one save at a time, beside the stream and never in its way.
struct Saver<'a> {
    writer: &'a Writer,
    sources: &'a [Source],
    running: Option<Saving<'a>>,
    saved: usize,
    sources_saved: bool,
}

impl<'a> Saver<'a> {
    fn new(writer: &'a Writer, sources: &'a [Source]) -> Self {
        Self {
            writer,
            sources,
            running: None,
            saved: 0,
            sources_saved: sources.is_empty(),
        }
    }

    /// Begins a save when there is something new and none is running.
    fn begin(&mut self, written: usize) {
        if self.running.is_some() || written == self.saved {
            return;
        }
        self.saved = written;
        let with_sources = !std::mem::replace(&mut self.sources_saved, true);
        self.running = Some(Box::pin(save(
            self.writer,
            with_sources.then_some(self.sources),
        )));
    }

    /// Resolves when a running save has ended; never while none runs.
    async fn saved(&mut self) {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        if let Err(error) = running.await {
            tracing::warn!(
                code = error.code(),
                "what has arrived of an answer could not be saved"
            );
        }
        self.running = None;
    }
}

/// The sources go first: whoever follows the row takes its first text for a sign that they are there.
async fn save(writer: &Writer, sources: Option<&[Source]>) -> Result<(), DatabaseError> {
    let connection = writer.app.checkout(&writer.registered).await?;
    let now = writer.app.clock().now();
    if let Some(sources) = sources {
        messages::set_sources(&connection, writer.live.message(), &stored(sources), now).await?;
    }
    messages::save_partial(&connection, writer.live.message(), &writer.live.text(), now).await?;
    Ok(())
}

fn stored(sources: &[Source]) -> Value {
    serde_json::to_value(sources).unwrap_or_else(|_| Value::Array(Vec::new()))
}

fn quotable(sources: &[Source]) -> Vec<passages::Passage> {
    let numbered = sources.iter().enumerate();
    numbered
        .map(|(index, source)| passages::Passage {
            number: index + 1,
            text: source.text.clone(),
        })
        .collect()
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
