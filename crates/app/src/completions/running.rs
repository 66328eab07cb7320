//! A completion under way: a task that passes the model's words to whoever asked, and counts what
//! was taken however it ends.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use stoa_ai::{AiError, Ending, ToolCall};
use stoa_domain::MessageId;
use tokio::sync::mpsc;

use super::CompletionError;
use super::passing::{Calls, PATIENCE, Passed, Passing, Written};
use crate::App;
use crate::budgets::{PaidStream, Spender};
use crate::chat::event::Source;
use crate::chat::noted;
use crate::chat::opening::{AnswerTo, Origin};
use crate::turns::Place;

/// How many pieces may wait for a reader before the model waits too.
const WAITING: usize = 64;

/// A completion under way. Dropping it hangs up.
pub struct Running {
    /// Its id, under which it is counted.
    pub id: MessageId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// The model's name as the caller gave it.
    pub model: String,
    pieces: mpsc::Receiver<Piece>,
}

/// What a completion says next.
#[derive(Debug)]
pub enum Piece {
    /// More text, never empty.
    Text(String),
    /// The model begins to ask for one of the caller's tools.
    CallStart {
        /// Which call of this answer, from 0.
        index: usize,
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments, never empty.
    CallArguments {
        /// Which call of this answer.
        index: usize,
        /// The next piece.
        text: String,
    },
    /// A call is whole.
    Call {
        /// Which call of this answer.
        index: usize,
        /// The call.
        call: ToolCall,
    },
    /// It has ended, and is counted.
    End(End),
    /// It broke off.
    Failed(CompletionError),
}

/// How a completion ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Why.
    pub reason: Ending,
    /// What it took.
    pub tokens: Tokens,
    /// What the bot's answer was drawn from; `None` for other models.
    pub sources: Option<Vec<Source>>,
}

/// What a completion took: by the provider's account, else about so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens read.
    pub input: i64,
    /// Tokens written.
    pub output: i64,
}

impl Running {
    /// The next piece; `None` after the end or a failure.
    pub async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }
}

/// About how many tokens a text is, for showing where no provider said it.
pub(super) fn about(text: &str) -> i64 {
    i64::try_from(text.len().div_ceil(4)).unwrap_or(i64::MAX)
}

/// What the task of one completion needs.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) id: MessageId,
    pub(super) spender: Spender,
    pub(super) no_answer_message: String,
    pub(super) origin: Origin,
    pub(super) stop: Vec<String>,
    pub(super) calls: Calls,
    /// About how many tokens the caller asked with.
    pub(super) asked: i64,
    pub(super) is_bot: bool,
}

/// How the model's words ended.
enum Ended {
    Well(Ending),
    Badly(CompletionError),
    /// Nobody reads any more.
    HungUp,
}

impl Call {
    /// Starts the task.
    pub(super) fn start(self, stream: PaidStream, model: String, place: Place) -> Running {
        let (sender, pieces) = mpsc::channel(WAITING);
        let running = Running {
            id: self.id,
            created_at: self.app.clock().now(),
            model,
            pieces,
        };
        let tasks = self.app.tasks().clone();
        tasks.spawn(async move {
            self.run(stream, sender).await;
            drop(place);
        });
        running
    }

    async fn run(mut self, mut stream: PaidStream, sender: mpsc::Sender<Piece>) {
        let mut written = Written::default();
        if self.origin.by.is_no_model() {
            (written.input_tokens, written.output_tokens) = (Some(0), Some(0));
        }
        let ended = self.pass_on(&mut stream, &sender, &mut written).await;
        if let Some(model) = stream.model() {
            model.clone_into(&mut self.origin.by.model);
        }
        // The provider is hung up before anything else is waited for.
        drop(stream);
        self.count(&written).await;
        let last = match ended {
            Ended::Well(reason) => Piece::End(self.end(reason, &written)),
            Ended::Badly(error) => Piece::Failed(error),
            Ended::HungUp => return,
        };
        // Whoever has gone meanwhile has no use for it.
        drop(tokio::time::timeout(PATIENCE, sender.send(last)).await);
    }

    async fn pass_on(
        &mut self,
        stream: &mut PaidStream,
        sender: &mpsc::Sender<Piece>,
        written: &mut Written,
    ) -> Ended {
        let stop = std::mem::take(&mut self.stop);
        let mut passing = Passing::new(sender, written, stop, self.calls);
        loop {
            let event = tokio::select! {
                biased;
                () = sender.closed() => return Ended::HungUp,
                () = self.app.shutdown().cancelled() => return Ended::Badly(CompletionError::Restarting),
                event = stream.next() => event,
            };
            let passed = match event {
                Some(Ok(event)) => passing.take(event).await,
                Some(Err(error)) => return Ended::Badly(broken(error)),
                None => passing.finish(Ending::Stop).await,
            };
            match passed {
                Passed::On => {}
                Passed::Ended(reason) => return Ended::Well(reason),
                Passed::HungUp => return Ended::HungUp,
            }
        }
    }

    fn end(&self, reason: Ending, written: &Written) -> End {
        // Nothing was drawn from where nothing was said, but a tool asked for.
        let unanswered = written.text.is_empty()
            || self.origin.to == AnswerTo::NothingFound
            || crate::chat::is_no_answer(&written.text, &self.no_answer_message);
        let used = || {
            let mut sources = noted(&self.origin.sources, &written.text, unanswered);
            sources.retain(|source| source.used);
            sources
        };
        End {
            reason,
            tokens: Tokens {
                input: written.input_tokens.unwrap_or(self.asked),
                output: written
                    .output_tokens
                    .unwrap_or_else(|| about(&written.text).saturating_add(written.called)),
            },
            sources: self.is_bot.then(used),
        }
    }

    /// Counts the call: the model was asked, whatever became of its answer.
    async fn count(&self, written: &Written) {
        let (model, tokens) = (
            self.origin.by.model.clone(),
            (written.input_tokens, written.output_tokens),
        );
        let metered = self.spender.metered(model, tokens, self.app.clock().now());
        if let Err(error) = self.app.meter().count(metered).await {
            tracing::error!(%error, completion = %self.id, "a completion was not metered");
        }
    }
}

fn broken(error: AiError) -> CompletionError {
    tracing::warn!(
        code = error.code().as_str(),
        detail = error.detail(),
        "a completion broke off"
    );
    CompletionError::Provider(error)
}
