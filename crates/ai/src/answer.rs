//! Answers, as they arrive and whole.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use stoa_domain::FinishReason;

use crate::error::AiError;
use crate::tools::ToolCall;
use crate::transport::{Incoming, Step};

/// What an answer says next. Text and calls first, in pieces; then usage, if the provider reports
/// it; then how it finished, exactly once and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerEvent {
    /// More of the answer, never empty.
    Text(String),
    /// The model begins to ask for a tool. Several calls may be written at once.
    ToolCallStart {
        /// Which call of this answer, from 0.
        index: usize,
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments, never empty. For people to look at: only the whole is JSON.
    ToolCallArguments {
        /// Which call of this answer.
        index: usize,
        /// The next piece.
        text: String,
    },
    /// A call is whole.
    ToolCall {
        /// Which call of this answer.
        index: usize,
        /// The call.
        call: ToolCall,
    },
    /// What the answer took. A provider that does not say so sends none; 0 means 0.
    Usage(Usage),
    /// The answer is complete.
    Finish(Ending),
}

/// Why a complete answer ended, in the words of every format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model was done.
    Stop,
    /// It reached its output limit, or ours; a tool call may be cut.
    Length,
    /// The provider withheld the rest.
    ContentFilter,
    /// It waits for the results of its tool calls.
    ToolCalls,
}

impl Ending {
    /// Several providers say that the model was done where it waits for tools.
    pub(crate) const fn with_calls(self, calls: bool) -> Self {
        match self {
            Self::Stop if calls => Self::ToolCalls,
            other => other,
        }
    }

    /// The contract's word, which has none for tool calls: whoever runs tools goes on, and to
    /// whoever does not, the model was done.
    #[must_use]
    pub const fn finish_reason(self) -> FinishReason {
        match self {
            Self::Stop | Self::ToolCalls => FinishReason::Stop,
            Self::Length => FinishReason::Length,
            Self::ContentFilter => FinishReason::ContentFilter,
        }
    }
}

/// What an answer took, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Read, from the provider's cache or not.
    pub input_tokens: u64,
    /// Written, thoughts included.
    pub output_tokens: u64,
    /// How many of those read came from the provider's cache, if it says.
    pub cached_input_tokens: Option<u64>,
}

/// An answer that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What was said.
    pub text: String,
    /// The tools that were asked for.
    pub tool_calls: Vec<ToolCall>,
    /// What it took, if the provider says.
    pub usage: Option<Usage>,
    /// How it finished.
    pub ending: Ending,
    /// The provider's own word for that.
    pub raw_finish_reason: Option<String>,
    /// The model that answered, by the provider's account.
    pub model: Option<String>,
}

/// An answer as it arrives: a [`Stream`] of [`AnswerEvent`]s, which ends after
/// [`AnswerEvent::Finish`] or after an error.
///
/// Dropping it closes the connection to the provider at once.
pub struct AnswerStream {
    ready: VecDeque<AnswerEvent>,
    failure: Option<AiError>,
    incoming: Option<Box<Incoming>>,
    model: Option<String>,
    raw_finish_reason: Option<String>,
}

impl AnswerStream {
    /// An answer that is known already.
    pub(crate) fn of(events: impl IntoIterator<Item = AnswerEvent>) -> Self {
        Self {
            ready: events.into_iter().collect(),
            failure: None,
            incoming: None,
            model: None,
            raw_finish_reason: None,
        }
    }

    /// An answer that came whole though it was asked for in pieces.
    pub(crate) fn whole(completion: Completion) -> Self {
        let text = (!completion.text.is_empty()).then_some(AnswerEvent::Text(completion.text));
        let calls = completion.tool_calls.into_iter().enumerate();
        let calls = calls.flat_map(|(index, call)| {
            let start = AnswerEvent::ToolCallStart {
                index,
                id: call.id.clone(),
                name: call.name.clone(),
            };
            let arguments = (!call.arguments.is_empty()).then(|| AnswerEvent::ToolCallArguments {
                index,
                text: call.arguments.clone(),
            });
            let whole = AnswerEvent::ToolCall { index, call };
            [Some(start), arguments, Some(whole)].into_iter().flatten()
        });
        let mut stream = Self::of(text.into_iter().chain(calls));
        stream.model = completion.model;
        stream.finish(
            completion.usage,
            completion.ending,
            completion.raw_finish_reason,
        );
        stream
    }

    /// An answer that comes over the network; returns when its first event is there.
    pub(crate) async fn begin(incoming: Incoming) -> Result<Self, AiError> {
        let mut stream = Self::of([]);
        stream.incoming = Some(Box::new(incoming));
        poll_fn(|context| stream.poll_ready(context)).await;
        match stream.failure.take_if(|_| stream.ready.is_empty()) {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// An answer that was asked for whole and comes in pieces.
    pub(crate) async fn gathered(incoming: Incoming) -> Result<Completion, AiError> {
        let mut stream = Self::begin(incoming).await?;
        let mut whole = Completion {
            text: String::new(),
            tool_calls: Vec::new(),
            usage: None,
            ending: Ending::Stop,
            raw_finish_reason: None,
            model: None,
        };
        while let Some(event) = stream.next().await {
            match event? {
                AnswerEvent::Text(more) => whole.text.push_str(&more),
                AnswerEvent::ToolCall { call, .. } => whole.tool_calls.push(call),
                AnswerEvent::Usage(usage) => whole.usage = Some(usage),
                AnswerEvent::Finish(ending) => whole.ending = ending,
                AnswerEvent::ToolCallStart { .. } | AnswerEvent::ToolCallArguments { .. } => {}
            }
        }
        whole.raw_finish_reason = stream.raw_finish_reason.take();
        whole.model = stream.model.take();
        Ok(whole)
    }

    /// The next event; `None` after the last. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<AnswerEvent, AiError>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The model that answers, by the provider's account, once it has said so.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The provider's own word for why the answer ended, once it has.
    #[must_use]
    pub fn raw_finish_reason(&self) -> Option<&str> {
        self.raw_finish_reason.as_deref()
    }

    /// Takes from the network until there is something to say, or nothing more to come.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.ready.is_empty() && self.failure.is_none() {
            let Some(incoming) = &mut self.incoming else {
                return Poll::Ready(());
            };
            match incoming.poll_step(context, &mut self.ready) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Step::More) => {}
                Poll::Ready(Step::Model(model)) => self.model = Some(model),
                Poll::Ready(Step::Complete { usage, ending, raw }) => {
                    self.incoming = None;
                    self.finish(usage, ending, raw);
                }
                Poll::Ready(Step::Failed(error)) => {
                    let taken = incoming.taken();
                    self.incoming = None;
                    self.failure = Some(error.having_taken(taken));
                }
            }
        }
        Poll::Ready(())
    }

    fn finish(&mut self, usage: Option<Usage>, ending: Ending, raw: Option<String>) {
        self.ready.extend(usage.map(AnswerEvent::Usage));
        self.ready.push_back(AnswerEvent::Finish(ending));
        self.raw_finish_reason = raw;
    }
}

impl Stream for AnswerStream {
    type Item = Result<AnswerEvent, AiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.poll_ready(context).is_pending() {
            return Poll::Pending;
        }
        if let Some(event) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        Poll::Ready(self.failure.take().map(Err))
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream")
            .field("model", &self.model)
            .field("open", &self.incoming.is_some())
            .finish_non_exhaustive()
    }
}
