//! Writing one answer: find passages, open a model's stream, pass it on, keep it, meter it.
//!
//! The writer is a task of its own, so it goes on when its listener leaves. It holds no database
//! connection while a model talks; it saves what has arrived every second or two, and shows that
//! it lives while nothing arrives, so that the sweep leaves its answer alone; it makes the answer
//! final by compare-and-set, so that a sweep and a writer never both do.

mod keeping;
mod opening;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use stoa_ai::AnswerEvent;
use stoa_client_db::messages::HistoryMessage;
use stoa_domain::FinishReason;
use tokio::time::MissedTickBehavior;

use super::error::{not_saved, visitor_failure};
use super::event::{Event, Failure, Source, Usage};
use super::live::LiveAnswer;
use super::replay;
use crate::App;
use crate::contents::Contents;
use crate::registry::Registered;
use keeping::Saver;
use opening::{Author, Opened};

/// How often what has arrived is saved.
const SAVE_EVERY: Duration = Duration::from_millis(1_500);
/// How long a visitor may be away before the model is hung up.
const GRACE: Duration = Duration::from_secs(15);
/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// What the writer of one answer needs.
pub(super) struct Writer {
    pub(super) app: Arc<App>,
    pub(super) registered: Arc<Registered>,
    pub(super) contents: Arc<Contents>,
    pub(super) live: Arc<LiveAnswer>,
    pub(super) question: String,
    pub(super) history: Vec<HistoryMessage>,
    pub(super) has_passages: bool,
    pub(super) created_at: DateTime<Utc>,
    pub(super) started: Instant,
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

/// What came before the first word.
enum Beginning {
    /// A model speaks, or the documents do.
    Opened(Vec<Source>, Opened),
    /// The visitor stopped it, or left for good.
    Cancelled,
    /// There is no answer.
    Failed(FinishReason, Failure),
}

impl Writer {
    /// Writes the answer to its end.
    pub(super) async fn run(self) {
        match self.begin().await {
            Beginning::Opened(sources, opened) => {
                self.live.open(self.preamble(&sources));
                let (ended, by) = self.pass_on(opened, &sources).await;
                self.close(ended, by, &sources).await;
            }
            Beginning::Cancelled => {
                self.live.open(self.preamble(&[]));
                let ended = Ended::because(FinishReason::Cancelled);
                self.close(ended, Author::default(), &[]).await;
            }
            Beginning::Failed(reason, failure) => self.fail_to_open(reason, failure).await,
        }
    }

    async fn begin(&self) -> Beginning {
        tokio::select! {
            opened = self.prepare() => match opened {
                Ok((sources, opened)) => Beginning::Opened(sources, opened),
                Err(failure) => Beginning::Failed(FinishReason::Error, failure),
            },
            () = self.live.stopped() => Beginning::Cancelled,
            () = self.deserted() => Beginning::Cancelled,
            () = self.app.shutdown().cancelled() => {
                Beginning::Failed(FinishReason::Interrupted, replay::restarting())
            }
            never = self.stay_alive() => match never {},
        }
    }

    /// Resolves when nobody has listened for the time of grace.
    async fn deserted(&self) {
        while self.live.deserted_for() < GRACE {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Saves now and then while nothing arrives, for the row's time of saving.
    async fn stay_alive(&self) -> Infallible {
        loop {
            tokio::time::sleep(keeping::SIGN_OF_LIFE).await;
            keeping::save(self, None).await;
        }
    }

    /// Passes the model's words on until they end, whoever ends them.
    async fn pass_on(&self, opened: Opened, sources: &[Source]) -> (Ended, Author) {
        let Opened { mut stream, mut by } = opened;
        let mut ended = Ended::because(FinishReason::Interrupted);
        if by.is_no_model() {
            (ended.input_tokens, ended.output_tokens) = (Some(0), Some(0));
        }
        let mut tick = tokio::time::interval(SAVE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        let mut saver = Saver::new(self, sources);
        let mut written = 0;
        loop {
            tokio::select! {
                // The stream comes last: it may always have something, the others seldom do.
                biased;
                () = self.live.stopped() => {
                    ended.reason = FinishReason::Cancelled;
                    break;
                }
                () = self.app.shutdown().cancelled() => {
                    ended.failure = Some(replay::restarting());
                    break;
                }
                _ = tick.tick() => {
                    if self.live.deserted_for() >= GRACE {
                        ended.reason = FinishReason::Cancelled;
                        break;
                    }
                    saver.begin(written);
                }
                () = saver.saved() => {}
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
    async fn fail_to_open(&self, reason: FinishReason, failure: Failure) {
        let ended = Ended::failed(reason, failure.clone());
        // When even this cannot be kept, the sweep will find the row; the visitor is told either way.
        let _ = self.keep(&ended, &Author::default(), &[]).await;
        self.live.fail_to_open(failure);
    }
}
