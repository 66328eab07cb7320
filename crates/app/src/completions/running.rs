//! A completion under way: a task that passes the model's words to whoever asked, and counts what
//! was taken however it ends.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use stoa_ai::tokens::estimate_tokens;
use stoa_ai::{AiError, Ending, ToolCall};
use stoa_domain::{MessageId, Provider};
use tokio::sync::mpsc;

use super::CompletionError;
use super::own_tools::OwnTools;
use super::passing::{Calls, PATIENCE, Passed, Passing, Written};
use crate::App;
use crate::budgets::{PaidStream, Spender};
use crate::chat::event::Source;
use crate::chat::opening::{AnswerTo, Origin};
use crate::chat::{cites_any, noted, step};
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
    pub drawn: Option<Drawn>,
}

/// What a bot's answer was drawn from.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The passages that it cites; all that it was given where it cites none.
    pub sources: Vec<Source>,
    /// What was called of the instance's own tools, in order.
    pub steps: Vec<step::Call>,
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

/// About how many tokens texts are, for showing where no provider said it.
pub(super) fn about<'a>(
    provider: Provider,
    model: &str,
    texts: impl IntoIterator<Item = &'a str>,
) -> i64 {
    let tokens = texts
        .into_iter()
        .map(|text| estimate_tokens(provider, model, text).upper());
    i64::try_from(tokens.sum::<u64>()).unwrap_or(i64::MAX)
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
    /// The instance's own tools, where they may be called.
    pub(super) own_tools: Option<OwnTools>,
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

    async fn run(mut self, stream: PaidStream, sender: mpsc::Sender<Piece>) {
        let mut written = Written::default();
        let ended = self.follow(stream, &sender, &mut written).await;
        self.count(&written).await;
        let last = match ended {
            Ended::Well(reason) => Piece::End(self.end(reason, &written)),
            Ended::Badly(error) => Piece::Failed(error),
            Ended::HungUp => return,
        };
        // Whoever has gone meanwhile has no use for it.
        drop(tokio::time::timeout(PATIENCE, sender.send(last)).await);
    }

    /// Passes on what is said, makes the calls of the instance's own tools, and goes on after them.
    async fn follow(
        &mut self,
        mut stream: PaidStream,
        sender: &mpsc::Sender<Piece>,
        written: &mut Written,
    ) -> Ended {
        let stop = std::mem::take(&mut self.stop);
        let mut passing = Passing::new(sender, written, stop, self.calls);
        loop {
            let is_free = self.origin.by.is_no_model() || stream.is_free();
            passing.begin_round(is_free);
            let ended = self.pass_on(&mut stream, sender, &mut passing).await;
            if let Some(model) = stream.model() {
                model.clone_into(&mut self.origin.by.model);
            }
            // The provider is hung up before anything else is waited for.
            drop(stream);
            let own_tools = self.own_tools.as_mut();
            let Some(own_tools) =
                own_tools.filter(|_| matches!(ended, Ended::Well(Ending::ToolCalls)))
            else {
                return ended;
            };
            if !own_tools.may_call() {
                return Ended::Well(Ending::Stop);
            }
            let (app, (words, calls, at)) = (&self.app, passing.take_round());
            let going_on = async {
                own_tools.make(app, words, calls, at).await;
                own_tools
                    .go_on(app, &self.spender, &self.origin, passing.has_spoken())
                    .await
            };
            let opened = match attended(app, sender, going_on).await {
                Ok(Ok(opened)) => opened,
                Ok(Err(error)) => return Ended::Badly(error.into()),
                Err(ended) => return ended,
            };
            self.origin.by = opened.origin.by;
            stream = opened.stream;
        }
    }

    async fn pass_on(
        &self,
        stream: &mut PaidStream,
        sender: &mpsc::Sender<Piece>,
        passing: &mut Passing<'_>,
    ) -> Ended {
        loop {
            let passed = match attended(&self.app, sender, stream.next()).await {
                Ok(Some(Ok(event))) => passing.take(event).await,
                Ok(Some(Err(error))) => return Ended::Badly(broken(error)),
                Ok(None) => passing.finish(Ending::Stop).await,
                Err(ended) => return ended,
            };
            match passed {
                Passed::On => {}
                Passed::Ended(reason) => return Ended::Well(reason),
                Passed::HungUp => return Ended::HungUp,
            }
        }
    }

    fn end(&mut self, reason: Ending, written: &Written) -> End {
        let (input, output) = written.took.tokens();
        let by = &self.origin.by;
        let provider = by.provider.unwrap_or(Provider::Passages);
        let came = [written.text.as_str(), &written.called];
        End {
            reason,
            tokens: Tokens {
                input: input.unwrap_or(self.asked),
                output: output.unwrap_or_else(|| about(provider, &by.model, came)),
            },
            drawn: self.is_bot.then(|| self.drawn(&written.text)),
        }
    }

    fn drawn(&mut self, text: &str) -> Drawn {
        let own_tools = self.own_tools.take();
        let used_tools = own_tools.as_ref().is_some_and(OwnTools::gave_something);
        let offered = &self.origin.sources;
        // Nothing was drawn from where nothing was said, but a tool asked for.
        let is_unused = text.is_empty()
            || self.origin.to == AnswerTo::NothingFound
            || used_tools && !cites_any(offered, text)
            || crate::chat::is_no_answer(text, &self.no_answer_message);
        let mut sources = noted(offered, text, is_unused);
        sources.retain(|source| source.used);
        Drawn {
            sources,
            steps: own_tools.map(OwnTools::into_steps).unwrap_or_default(),
        }
    }

    /// Counts the call: the model was asked, whatever became of its answer.
    async fn count(&self, written: &Written) {
        let (model, tokens) = (self.origin.by.model.clone(), written.took.tokens());
        let metered = self.spender.metered(model, tokens, self.app.clock().now());
        if let Err(error) = self.app.meter().count(metered).await {
            tracing::error!(%error, completion = %self.id, "a completion was not metered");
        }
    }
}

/// Waits for work, unless nobody reads any more or the process ends: then why it was dropped.
async fn attended<T>(
    app: &App,
    sender: &mpsc::Sender<Piece>,
    work: impl Future<Output = T>,
) -> Result<T, Ended> {
    tokio::select! {
        biased;
        () = sender.closed() => Err(Ended::HungUp),
        () = app.shutdown().cancelled() => Err(Ended::Badly(CompletionError::Restarting)),
        done = work => Ok(done),
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
