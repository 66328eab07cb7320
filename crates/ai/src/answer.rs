//! Answers, as they arrive and whole.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use stoa_domain::FinishReason;

use crate::error::AiError;
use crate::transport::{Incoming, Step};

/// What an answer says next. Text first, in pieces; then usage, if the provider reports it; then
/// how it finished, exactly once and last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerEvent {
    /// More of the answer, never empty.
    Text(String),
    /// What the answer took. A provider that does not say so sends none; 0 means 0.
    Usage {
        /// Tokens read.
        input_tokens: u64,
        /// Tokens written.
        output_tokens: u64,
    },
    /// The answer is complete.
    Finish(FinishReason),
}

/// What an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}

/// An answer that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What was said.
    pub text: String,
    /// What it took, if the provider says.
    pub usage: Option<Usage>,
    /// How it finished.
    pub finish_reason: FinishReason,
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
        let mut stream = Self::of(text);
        stream.model = completion.model;
        stream.finish(
            completion.usage,
            completion.finish_reason,
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
                Poll::Ready(Step::Complete { usage, reason, raw }) => {
                    self.incoming = None;
                    self.finish(usage, reason, raw);
                }
                Poll::Ready(Step::Failed(error)) => {
                    self.incoming = None;
                    self.failure = Some(error);
                }
            }
        }
        Poll::Ready(())
    }

    fn finish(&mut self, usage: Option<Usage>, reason: FinishReason, raw: Option<String>) {
        self.ready.extend(usage.map(|it| AnswerEvent::Usage {
            input_tokens: it.input_tokens,
            output_tokens: it.output_tokens,
        }));
        self.ready.push_back(AnswerEvent::Finish(reason));
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
