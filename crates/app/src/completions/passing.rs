//! Passing what a model says on to whoever asked, piece by piece.

use std::time::Duration;

use stoa_ai::{AnswerEvent, Ending, ToolCall};
use tokio::sync::mpsc;

use super::running::{Piece, about};
use super::stop::StopAt;
use crate::chat::opening::Offer;

/// A reader that takes nothing for so long has gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of the calls that a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// No tools were offered, so a call is a model's own idea and nothing to do.
    Dropped,
    /// The first is passed on. Not every provider can be told to ask for one only.
    First,
    /// All are passed on.
    All,
}

impl Calls {
    pub(super) fn of(offer: &Offer) -> Self {
        match (offer.tools.is_empty(), offer.one_call) {
            (true, _) => Self::Dropped,
            (false, true) => Self::First,
            (false, false) => Self::All,
        }
    }

    const fn takes(self, index: usize) -> bool {
        match self {
            Self::Dropped => false,
            Self::First => index == 0,
            Self::All => true,
        }
    }
}

/// What has come so far.
#[derive(Default)]
pub(super) struct Written {
    pub(super) text: String,
    /// About how many tokens of calls.
    pub(super) called: i64,
    pub(super) input_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
}

/// What came of passing something on.
pub(super) enum Passed {
    /// There may be more.
    On,
    /// That was the end.
    Ended(Ending),
    /// Nobody reads any more.
    HungUp,
}

/// Passes on.
pub(super) struct Passing<'a> {
    sender: &'a mpsc::Sender<Piece>,
    written: &'a mut Written,
    filter: StopAt,
    calls: Calls,
}

impl<'a> Passing<'a> {
    pub(super) fn new(
        sender: &'a mpsc::Sender<Piece>,
        written: &'a mut Written,
        stop: Vec<String>,
        calls: Calls,
    ) -> Self {
        Self {
            sender,
            written,
            filter: StopAt::new(stop),
            calls,
        }
    }

    pub(super) async fn take(&mut self, event: AnswerEvent) -> Passed {
        match event {
            AnswerEvent::Text(text) => {
                let (text, has_ended) = self.filter.push(&text);
                match (self.say(text).await, has_ended) {
                    (Passed::On, true) => Passed::Ended(Ending::Stop),
                    (passed, _) => passed,
                }
            }
            AnswerEvent::Usage(usage) => {
                self.written.input_tokens = i64::try_from(usage.input_tokens).ok();
                self.written.output_tokens = i64::try_from(usage.output_tokens).ok();
                Passed::On
            }
            AnswerEvent::Finish(ending) => self.finish(ending).await,
            AnswerEvent::ToolCallStart { index, id, name } if self.calls.takes(index) => {
                // No text goes on after it that could still become one to stop at.
                let held = self.filter.flush();
                match self.say(held).await {
                    Passed::On => {
                        self.call(
                            &name,
                            Piece::CallStart {
                                index,
                                id,
                                name: name.clone(),
                            },
                        )
                        .await
                    }
                    passed => passed,
                }
            }
            AnswerEvent::ToolCallArguments { index, text } if self.calls.takes(index) => {
                self.call(
                    &text,
                    Piece::CallArguments {
                        index,
                        text: text.clone(),
                    },
                )
                .await
            }
            AnswerEvent::ToolCall { index, call } if self.calls.takes(index) => {
                self.whole_call(index, call).await
            }
            AnswerEvent::ToolCallStart { .. }
            | AnswerEvent::ToolCallArguments { .. }
            | AnswerEvent::ToolCall { .. } => Passed::On,
        }
    }

    /// The end, with what was held back before it.
    pub(super) async fn finish(&mut self, ending: Ending) -> Passed {
        let held = self.filter.flush();
        let ending = match (ending, self.calls) {
            (Ending::ToolCalls, Calls::Dropped) => Ending::Stop,
            (ending, _) => ending,
        };
        match self.say(held).await {
            Passed::On => Passed::Ended(ending),
            passed => passed,
        }
    }

    async fn say(&mut self, text: String) -> Passed {
        if text.is_empty() {
            return Passed::On;
        }
        self.written.text.push_str(&text);
        self.send(Piece::Text(text)).await
    }

    /// Callers parse the arguments, and nothing is no JSON.
    async fn whole_call(&mut self, index: usize, mut call: ToolCall) -> Passed {
        if call.arguments.is_empty() {
            "{}".clone_into(&mut call.arguments);
            let text = call.arguments.clone();
            let passed = self.send(Piece::CallArguments { index, text }).await;
            if !matches!(passed, Passed::On) {
                return passed;
            }
        }
        self.send(Piece::Call { index, call }).await
    }

    async fn call(&mut self, text: &str, piece: Piece) -> Passed {
        self.written.called = self.written.called.saturating_add(about(text));
        self.send(piece).await
    }

    async fn send(&self, piece: Piece) -> Passed {
        match tokio::time::timeout(PATIENCE, self.sender.send(piece)).await {
            Ok(Ok(())) => Passed::On,
            _ => Passed::HungUp,
        }
    }
}
