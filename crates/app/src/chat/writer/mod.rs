//! Writing one answer: find passages, open a model's stream, pass it on, call the tools that it asks
//! for and go on, keep it, meter it.
//!
//! The writer is a task of its own, so it goes on when its listener leaves. It holds no database
//! connection while a model talks; it saves what has arrived every second or two, and shows that
//! it lives while nothing arrives, so that the sweep leaves its answer alone; it makes the answer
//! final by compare-and-set, so that a sweep and a writer never both do.

mod attend;
mod calls;
mod keeping;
mod rounds;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use stoa_client_db::messages::HistoryMessage;
use stoa_domain::{FinishReason, MessageRole};
use stoa_platform_db::usage_events::UsageKind;

use super::error::{not_saved, opening_failure};
use super::event::{Event, Failure, Usage};
use super::live::LiveAnswer;
use super::opening::{AnswerTo, Inquiry, NotOpened, Offer, Opened, Opener, Origin, Sampling, Stop};
use super::step::TextPart;
use super::{HISTORY, notice, replay, summary, turns};
use crate::App;
use crate::budgets::{PaidStream, Payer, Spender};
use crate::contents::Contents;
use crate::registry::Registered;
use crate::tools::Offered;
use crate::turns::Place;
use rounds::Rounds;

/// How long a visitor may be away before the model is hung up.
const GRACE: Duration = Duration::from_secs(15);
/// The longest answer, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;

/// What the writer of one answer needs.
pub(super) struct Writer {
    app: Arc<App>,
    registered: Arc<Registered>,
    contents: Arc<Contents>,
    live: Arc<LiveAnswer>,
    inquiry: Inquiry,
    history: Vec<HistoryMessage>,
    /// Which tools the model is told of.
    offered: Offered,
    /// Its place among the answers that are written at once.
    place: Place,
    payer: Payer,
    spender: Spender,
    created_at: DateTime<Utc>,
    started: Instant,
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
    Opened(Box<Opened>),
    /// The visitor stopped it, or left for good.
    Cancelled,
    /// There is no answer.
    Failed(FinishReason, Failure),
}

impl Writer {
    /// The writer of the answer to a turn that is stored.
    pub(super) fn new(
        app: &Arc<App>,
        registered: Arc<Registered>,
        contents: Arc<Contents>,
        live: Arc<LiveAnswer>,
        turn: super::Beginning,
        place: Place,
    ) -> Self {
        let earlier = turn
            .history
            .iter()
            .map(|said| turns::said(said.role, said.content.clone()));
        let inquiry = Inquiry {
            earlier: earlier.collect(),
            latest: vec![turns::said(MessageRole::User, turn.question.clone())],
            question: turn.question,
            known: turn.known,
            rounds: 0,
            has_passages: turn.has_passages,
            context: String::new(),
            sampling: Sampling::default(),
            offer: Offer {
                tools: contents.toolbox.offered(turn.offered),
                ..Offer::default()
            },
            confirms_writes: turn.offered == Offered::All,
        };
        let event = (live.message(), UsageKind::Answer);
        Self {
            payer: turn.payer,
            spender: Spender::new(app, &registered, &contents.budgets, turn.payer, event),
            app: Arc::clone(app),
            registered,
            contents,
            live,
            inquiry,
            history: turn.history,
            offered: turn.offered,
            place,
            created_at: turn.created_at,
            started: turn.started,
        }
    }

    /// Writes the answer to its end. While it streams, no room is kept for what comes before and after:
    /// those are large and soon over, and thousands of answers may stream at once.
    pub(super) async fn run(self) {
        match Box::pin(self.begin()).await {
            Beginning::Opened(opened) => {
                let Opened { stream, origin } = *opened;
                self.live.open(self.preamble(&origin));
                let (ended, origin) = Rounds::new(&self, origin).write(stream).await;
                Box::pin(self.close(&ended, &origin)).await;
                self.fold_what_was_left_out(&origin);
            }
            Beginning::Cancelled => {
                self.live.open(self.preamble(&Origin::default()));
                let ended = Ended::because(FinishReason::Cancelled);
                Box::pin(self.close(&ended, &Origin::default())).await;
            }
            Beginning::Failed(reason, failure) => {
                Box::pin(self.fail_to_open(reason, failure)).await;
            }
        }
    }

    async fn begin(&self) -> Beginning {
        tokio::select! {
            opened = self.open() => match opened {
                Ok(opened) => Beginning::Opened(Box::new(opened)),
                Err(NotOpened::NoBudget(stop)) => Beginning::Opened(Box::new(self.no_budget(stop))),
                Err(error) => Beginning::Failed(FinishReason::Error, opening_failure(&error)),
            },
            () = self.live.stopped() => Beginning::Cancelled,
            () = self.deserted() => Beginning::Cancelled,
            () = self.app.shutdown().cancelled() => {
                Beginning::Failed(FinishReason::Interrupted, replay::restarting())
            }
            never = self.stay_alive() => match never {},
        }
    }

    async fn open(&self) -> Result<Opened, NotOpened> {
        let models: Vec<_> = self.contents.models.iter().collect();
        self.opener(&self.inquiry).open(&models).await
    }

    fn opener<'a>(&'a self, inquiry: &'a Inquiry) -> Opener<'a> {
        Opener {
            app: &self.app,
            registered: &self.registered,
            contents: &self.contents,
            inquiry,
            spender: &self.spender,
        }
    }

    /// What is said where a budget stands against asking a model.
    fn no_budget(&self, stop: Stop) -> Opened {
        Opened {
            stream: self.no_budget_sentence(),
            origin: Origin {
                to: AnswerTo::NoBudget(stop),
                kept: self.inquiry.earlier.len(),
                ..Origin::default()
            },
        }
    }

    fn no_budget_sentence(&self) -> PaidStream {
        let wording = self.contents.no_budget_wording();
        PaidStream::free(stoa_ai::passages::answer(
            &self.inquiry.question,
            &[],
            &wording,
        ))
    }

    /// The events before the text.
    fn preamble(&self, origin: &Origin) -> Vec<Event> {
        let start = Event::Start {
            message: self.live.message(),
            session: self.live.session(),
            created_at: self.created_at,
        };
        let sources = origin.sources.iter();
        let shown = sources.filter(|_| self.contents.live.display.show_sources);
        let mut events = vec![start];
        if let AnswerTo::NoBudget(stop) = origin.to {
            events.push(Event::Notice(notice::of(stop)));
        }
        events.extend(shown.cloned().map(Event::Source));
        events.push(Event::TextStart);
        events
    }

    /// Sums up what the model could not be given, in a task of its own.
    fn fold_what_was_left_out(&self, origin: &Origin) {
        let through = summary::fold_through(&self.history, origin.kept, usize::from(HISTORY));
        let (Some(through), Some(by)) = (through, origin.by.configuration) else {
            return;
        };
        let folding = summary::Folding {
            session: self.live.session(),
            through,
            by,
            payer: self.payer,
        };
        let (app, registered) = (Arc::clone(&self.app), Arc::clone(&self.registered));
        let folding = summary::fold(app, registered, Arc::clone(&self.contents), folding);
        self.app.tasks().spawn(folding);
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
            // One that fails is made good by the next.
            let _ = keeping::save(self, keeping::News::default()).await;
        }
    }

    /// Makes the answer final, meters it, and says so; in that order, so that an answer that was
    /// seen to finish is kept and counted.
    async fn close(&self, ended: &Ended, origin: &Origin) {
        let tail = match self.keep(ended, origin).await {
            Ok(()) => tail(ended, origin, self.live.body().open_part()),
            Err(()) => vec![Event::Error(not_saved()), Event::Done],
        };
        self.live.close(tail);
    }

    /// There will be no answer: the row says why, and so is whoever waits told.
    async fn fail_to_open(&self, reason: FinishReason, failure: Failure) {
        let ended = Ended::failed(reason, failure.clone());
        // When even this cannot be kept, the sweep will find the row; the visitor is told either way.
        let _ = self.keep(&ended, &Origin::default()).await;
        self.live.fail_to_open(failure);
    }
}

fn tail(ended: &Ended, origin: &Origin, open_part: Option<TextPart>) -> Vec<Event> {
    if let Some(failure) = &ended.failure {
        return vec![Event::Error(failure.clone()), Event::Done];
    }
    replay::ending(ended.reason, None, open_part, || Usage {
        input_tokens: ended.input_tokens,
        output_tokens: ended.output_tokens,
        model: origin.by.model.clone(),
        finish_reason: ended.reason,
    })
}
