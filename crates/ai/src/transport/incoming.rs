//! An answer on its way over the network: bytes to events, under deadlines and bounds.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use secrecy::SecretString;
use stoa_outbound::{SseDecoder, SseEvent};
use tokio::time::{Instant, Sleep, sleep_until};

use super::broken;
use super::calls::Calls;
use crate::answer::{AnswerEvent, Ending, Usage};
use crate::client::Reply;
use crate::error::{AiError, AiErrorCode};
use crate::limits::Limits;
use crate::wire::{Part, UsagePart, Wire};

type Body = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// The reading end of a provider's stream.
pub(crate) struct Incoming {
    wire: Wire,
    limits: Arc<Limits>,
    body: Body,
    decoder: SseDecoder,
    parts: VecDeque<Part>,
    /// The model as it was named last; most providers name it with every token.
    model: Option<String>,
    /// What ends the answer once the parts before it have been taken.
    failure: Option<AiError>,
    alarm: Pin<Box<Sleep>>,
    started: Instant,
    due: Instant,
    seen_event: bool,
    text_bytes: usize,
    calls: Calls,
    usage: UsagePart,
    finish: Option<(Ending, Option<String>)>,
    /// Taken out of whatever the provider says went wrong.
    key: Option<SecretString>,
}

/// What one step of reading led to.
pub(crate) enum Step {
    /// Something was read; perhaps there is something to say.
    More,
    /// The provider named the model.
    Model(String),
    /// The answer is complete.
    Complete {
        usage: Option<Usage>,
        ending: Ending,
        raw: Option<String>,
    },
    /// The answer broke.
    Failed(AiError),
}

impl Incoming {
    /// Reads the reply to a request that was sent at `started`. The first tool call without an id
    /// gets the number `first_call`.
    pub(crate) fn new(
        Reply { wire, response }: Reply,
        limits: Arc<Limits>,
        key: Option<SecretString>,
        started: Instant,
        first_call: usize,
    ) -> Self {
        let due = started + limits.first_token;
        Self {
            wire,
            key,
            calls: Calls::new(first_call, limits.call_bytes),
            decoder: SseDecoder::new(limits.line_bytes, limits.event_bytes),
            body: Box::pin(response.bytes_stream()),
            parts: VecDeque::new(),
            model: None,
            failure: None,
            alarm: Box::pin(sleep_until(due)),
            started,
            due,
            seen_event: false,
            text_bytes: 0,
            usage: UsagePart::default(),
            finish: None,
            limits,
        }
    }

    /// What the provider has counted so far.
    pub(crate) fn taken(&self) -> Option<Usage> {
        self.usage.known()
    }

    /// Goes one step on, appending what there is to say.
    pub(crate) fn poll_step(
        &mut self,
        context: &mut Context<'_>,
        ready: &mut VecDeque<AnswerEvent>,
    ) -> Poll<Step> {
        if let Some(part) = self.parts.pop_front() {
            return Poll::Ready(self.take_part(context, part, ready));
        }
        if let Some(error) = self.failure.take() {
            return Poll::Ready(self.ended(error, ready));
        }
        // Bytes that keep coming must not hold off the deadline, so it is looked at before them.
        if Instant::now() >= self.due {
            return Poll::Ready(self.overdue(ready));
        }
        match self.body.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.take_bytes(&bytes);
                Poll::Ready(Step::More)
            }
            Poll::Ready(Some(Err(error))) => {
                let error = broken(&error);
                Poll::Ready(self.ended(error, ready))
            }
            Poll::Ready(None) => Poll::Ready(self.closed(ready)),
            Poll::Pending => self.poll_alarm(context, ready),
        }
    }

    /// Waits for the deadline. The alarm is set anew only when it rings, not with every token.
    fn poll_alarm(
        &mut self,
        context: &mut Context<'_>,
        ready: &mut VecDeque<AnswerEvent>,
    ) -> Poll<Step> {
        while self.alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.due {
                return Poll::Ready(self.overdue(ready));
            }
            let due = self.due;
            self.alarm.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Decodes what came. The events before a fault are good, and what they say is said first.
    fn take_bytes(&mut self, bytes: &[u8]) {
        let mut events = Vec::new();
        let read = self.decoder.push(bytes, &mut events);
        let understood = events.iter().try_for_each(|it| self.take_event(it));
        let read = read.map_err(|error| AiError::protocol(error.to_string()));
        self.failure = understood.and(read).err();
    }

    fn take_event(&mut self, event: &SseEvent) -> Result<(), AiError> {
        self.seen_event = true;
        let mut parts = Vec::new();
        let decoded = self.wire.decode(event, &mut parts);
        for part in parts {
            self.add(part);
        }
        decoded.map_err(|error| error.without_key(self.key.as_ref()))
    }

    /// Tokens that came together go on together: each step wakes whoever listens.
    fn add(&mut self, part: Part) {
        match (part, self.parts.back_mut()) {
            (Part::Text(more), Some(Part::Text(text)))
            | (Part::Thought(more), Some(Part::Thought(text))) => text.push_str(&more),
            (Part::Model(name), _) if self.model.as_ref() == Some(&name) => {}
            (part, _) => {
                if let Part::Model(name) = &part {
                    self.model = Some(name.clone());
                }
                self.parts.push_back(part);
            }
        }
    }

    fn take_part(
        &mut self,
        context: &mut Context<'_>,
        part: Part,
        ready: &mut VecDeque<AnswerEvent>,
    ) -> Step {
        match part {
            Part::Model(model) => return Step::Model(model),
            Part::Progress => self.progressed(),
            Part::Thought(more) => {
                self.calls.think(&more);
                self.progressed();
            }
            Part::Text(text) => return self.take_text(text, ready),
            Part::Call(call) => {
                self.progressed();
                if let Err(error) = self.calls.take(call, ready) {
                    return Step::Failed(error);
                }
            }
            Part::Usage(usage) => self.usage.merge(usage),
            Part::Finish { ending, raw } => {
                self.finish.get_or_insert((ending, raw));
                self.due = Instant::now() + self.limits.after_finish;
                self.alarm.as_mut().reset(self.due);
            }
            Part::End => {
                // Looks once for the end of the body, so that the connection can be used again.
                let _ = self.body.as_mut().poll_next(context);
                return self.complete(Ending::Stop, None, ready);
            }
        }
        Step::More
    }

    fn take_text(&mut self, mut text: String, ready: &mut VecDeque<AnswerEvent>) -> Step {
        self.progressed();
        let room = self.limits.answer_bytes - self.text_bytes;
        let cut = text.len() > room;
        text.truncate(text.floor_char_boundary(room));
        self.text_bytes += text.len();
        if !text.is_empty() {
            ready.push_back(AnswerEvent::Text(text));
        }
        if cut {
            return self.complete(Ending::Length, Some("answer_too_long"), ready);
        }
        Step::More
    }

    /// A token came: the next one is due after it, but none after the end of the answer's time.
    fn progressed(&mut self) {
        if self.finish.is_none() {
            let last = self.started + self.limits.answer;
            self.due = (Instant::now() + self.limits.between_tokens).min(last);
        }
    }

    fn overdue(&mut self, ready: &mut VecDeque<AnswerEvent>) -> Step {
        if self.finish.is_some() {
            return self.complete(Ending::Stop, None, ready);
        }
        let silent = self.text_bytes == 0 && self.calls.is_empty();
        if self.started.elapsed() >= self.limits.answer && !silent {
            return self.complete(Ending::Length, Some("answer_took_too_long"), ready);
        }
        let what = match silent {
            true => "no first token",
            false => "no next token",
        };
        Step::Failed(AiError::new(AiErrorCode::Timeout, what))
    }

    /// The body came to its end without saying that the answer has.
    fn closed(&mut self, ready: &mut VecDeque<AnswerEvent>) -> Step {
        if let Some(event) = self.decoder.remainder() {
            // An event that the end cut off is no more wrong than the cut itself.
            let _ = self.take_event(&event);
            return Step::More;
        }
        let error = match self.seen_event {
            true => AiError::new(
                AiErrorCode::Interrupted,
                "the stream ended before the answer",
            ),
            false => AiError::protocol("the reply is no event stream"),
        };
        self.ended(error, ready)
    }

    /// Nothing more will come: a fault, unless the model had finished.
    fn ended(&mut self, error: AiError, ready: &mut VecDeque<AnswerEvent>) -> Step {
        match self.finish {
            Some(_) => self.complete(Ending::Stop, None, ready),
            None => Step::Failed(error),
        }
    }

    /// The end, with the model's ending or else with `ending`.
    fn complete(
        &mut self,
        ending: Ending,
        raw: Option<&str>,
        ready: &mut VecDeque<AnswerEvent>,
    ) -> Step {
        let (ending, raw) = self
            .finish
            .take()
            .unwrap_or_else(|| (ending, raw.map(str::to_owned)));
        self.calls.close(ready);
        Step::Complete {
            usage: self.usage.counted(),
            ending: ending.with_calls(!self.calls.is_empty()),
            raw,
        }
    }
}
