//! Passing what a model says on to whoever asked, piece by piece.

use std::time::Duration;

use stoa_ai::{AnswerEvent, Ending, ToolCall};
use tokio::sync::mpsc;

use super::running::Piece;
use super::stop::StopAt;
use crate::chat::opening::Offer;
use crate::chat::took::Took;

/// A reader that takes nothing for so long has gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of the calls that a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// No tools were offered, so a call is a model's own idea and nothing to do.
    Dropped,
    /// They are of the instance's own tools: made here, and shown to nobody before the end.
    Made,
    /// The first is passed on. Not every provider can be told to ask for one only.
    First,
    /// All are passed on.
    All,
}

impl Calls {
    /// Of the tools that a program brings.
    pub(super) fn of(offer: &Offer) -> Self {
        match (offer.tools.is_empty(), offer.one_call) {
            (true, _) => Self::Dropped,
            (false, true) => Self::First,
            (false, false) => Self::All,
        }
    }

    const fn takes(self, index: usize) -> bool {
        match self {
            Self::Dropped | Self::Made => false,
            Self::First => index == 0,
            Self::All => true,
        }
    }
}

/// What has come so far.
#[derive(Default)]
pub(super) struct Written {
    pub(super) text: String,
    /// The names and arguments of calls.
    pub(super) called: String,
    /// What the provider says that it took.
    pub(super) took: Took,
}

/// What stands between the words before a call of the instance's own tools and those after it.
const BETWEEN_ROUNDS: &str = "\n\n";

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
    /// Where the words of this round begin.
    round: usize,
    /// The calls of this round that are to be made here.
    to_make: Vec<ToolCall>,
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
            round: 0,
            to_make: Vec::new(),
        }
    }

    /// A round begins: a model goes on.
    pub(super) fn begin_round(&mut self, is_free: bool) {
        self.round = self.written.text.len();
        self.written.took.begin();
        if is_free {
            self.written.took.tell_nothing();
        }
    }

    /// What the round said and asks to be made, and how much was said in all.
    pub(super) fn take_round(&mut self) -> (String, Vec<ToolCall>, usize) {
        let text = &self.written.text;
        let words = text[self.round..].to_owned();
        (words, std::mem::take(&mut self.to_make), text.len())
    }

    /// Whether anything was said.
    pub(super) const fn has_spoken(&self) -> bool {
        !self.written.text.is_empty()
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
                self.written.took.tell(usage);
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
            AnswerEvent::ToolCall { call, .. } if self.calls == Calls::Made => {
                self.written.called.push_str(&call.name);
                self.written.called.push_str(&call.arguments);
                self.to_make.push(call);
                Passed::On
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

    async fn say(&mut self, mut text: String) -> Passed {
        if text.is_empty() {
            return Passed::On;
        }
        let so_far = &self.written.text;
        if self.round > 0 && so_far.len() == self.round && !so_far.trim().is_empty() {
            text.insert_str(0, BETWEEN_ROUNDS);
            self.round += BETWEEN_ROUNDS.len();
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
        self.written.called.push_str(text);
        self.send(piece).await
    }

    async fn send(&self, piece: Piece) -> Passed {
        match tokio::time::timeout(PATIENCE, self.sender.send(piece)).await {
            Ok(Ok(())) => Passed::On,
            _ => Passed::HungUp,
        }
    }
}
