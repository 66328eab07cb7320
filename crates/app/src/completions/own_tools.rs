//! The instance's own tools in a completion of its bot: those that change nothing, called as for a
//! visitor who cannot be asked back.
//!
//! Nothing is stored, so there is nothing to mend after a crash: what only reads may be read again.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use stoa_ai::{ToolCall, ToolResult};
use stoa_domain::ToolCallId;
use stoa_tools::Outcome;

use crate::App;
use crate::budgets::Spender;
use crate::chat::calling::outcome::{self, Bounds};
use crate::chat::calling::{self, AT_ONCE, Allowance, Examined, MOST_CALLS};
use crate::chat::opening::{Inquiry, NotOpened, Opened, Opener, Origin};
use crate::chat::step;
use crate::contents::Contents;
use crate::registry::Registered;
use crate::tools::Offered;

/// Which tools a program's completion may call: it cannot be asked whether to go ahead.
pub(super) const OFFERED: Offered = Offered::ReadsOnly;

/// The rounds of one completion.
pub(super) struct OwnTools {
    registered: Arc<Registered>,
    contents: Arc<Contents>,
    /// What the next model is asked: it grows by what was called and what came of it.
    inquiry: Inquiry,
    allowance: Allowance,
    /// What was called so far, as it is told.
    steps: Vec<step::Call>,
}

impl OwnTools {
    pub(super) fn new(
        registered: Arc<Registered>,
        contents: Arc<Contents>,
        inquiry: Inquiry,
    ) -> Self {
        Self {
            registered,
            contents,
            inquiry,
            allowance: Allowance::default(),
            steps: Vec::new(),
        }
    }

    /// Whether a model may call them still.
    pub(super) fn may_call(&self) -> bool {
        self.inquiry.offer.may_call()
    }

    /// Whether one gave something that the answer may be drawn from.
    pub(super) const fn gave_something(&self) -> bool {
        self.allowance.gave_something()
    }

    /// What was called.
    pub(super) fn into_steps(self) -> Vec<step::Call> {
        self.steps
    }

    /// Makes the calls of a round that said these words, after so many bytes of all text.
    pub(super) async fn make(&mut self, app: &App, words: String, calls: Vec<ToolCall>, at: usize) {
        let returned = self.outcomes(app, &calls, at).await;
        self.inquiry.go_on_after(words, calls, returned);
    }

    /// Asks for what comes after them.
    ///
    /// # Errors
    /// Why nobody went on.
    pub(super) async fn go_on(
        &self,
        app: &App,
        spender: &Spender,
        origin: &Origin,
        has_spoken: bool,
    ) -> Result<Opened, NotOpened> {
        let models = origin.next_models(&self.contents, has_spoken);
        let opener = Opener {
            app,
            registered: &self.registered,
            contents: &self.contents,
            inquiry: &self.inquiry,
            spender,
        };
        opener.go_on(&models, &origin.sources).await
    }

    async fn outcomes(&mut self, app: &App, calls: &[ToolCall], at: usize) -> Vec<ToolResult> {
        let contents = Arc::clone(&self.contents);
        let examined: Vec<_> = calls
            .iter()
            .take(MOST_CALLS)
            .map(|call| calling::examine(&contents.toolbox, OFFERED, call))
            .collect();
        let made = self.made(app, &examined).await;
        let mut outcomes = made.into_iter();
        for (call, outcome) in examined.into_iter().zip(outcomes.as_slice()) {
            self.note(call, outcome, at);
        }
        calls
            .iter()
            .map(|call| {
                let outcome = outcomes.next().unwrap_or_else(outcome::too_many);
                calling::returned(call, outcome)
            })
            .collect()
    }

    /// What came of each, in their order.
    async fn made(&mut self, app: &App, examined: &[Examined<'_>]) -> Vec<Outcome> {
        let fit = examined.iter().filter(|it| it.verdict.is_ok()).count();
        let (begun, bounds) = (Instant::now(), self.allowance.bounds(fit));
        let making = examined
            .iter()
            .map(|call| self.outcome(app, call, (bounds, begun)));
        let outcomes = stream::iter(making.collect::<Vec<_>>()).buffered(AT_ONCE);
        let outcomes: Vec<_> = outcomes.collect().await;
        self.allowance.spent_since(begun);
        outcomes
    }

    async fn outcome(&self, app: &App, call: &Examined<'_>, within: (Bounds, Instant)) -> Outcome {
        match &call.verdict {
            Ok(tool) => {
                let (id, instance) = (app.new_id(ToolCallId::generate), self.registered.id());
                calling::make(app, instance, (tool, &call.input), id, within).await
            }
            Err(outcome) => outcome.clone(),
        }
    }

    fn note(&mut self, call: Examined<'_>, outcome: &Outcome, at: usize) {
        let number = self.allowance.number();
        self.allowance.note(outcome);
        self.steps.push(step::Call {
            number,
            at,
            tool: call.tool,
            input: call.input,
            state: match outcome::shown(outcome) {
                Ok(output) => step::CallState::Done(output),
                Err(text) => step::CallState::Failed(text),
            },
            approval: None,
        });
    }
}
