//! The rounds of an answer: a model speaks and asks for tools, is told what they gave, and speaks
//! on. Most answers have one.

use std::borrow::Cow;
use std::time::Duration;

use stoa_ai::{AnswerEvent, Ending, ToolCall};
use stoa_domain::FinishReason;

use super::attend::Attendance;
use super::calls::Calls;
use super::{Ended, LONGEST_ANSWER, Writer};
use crate::budgets::PaidStream;
use crate::chat::error::{opening_failure, visitor_failure};
use crate::chat::opening::{Inquiry, NotOpened, Origin};
use crate::chat::took::Took;

/// An answer that has begun.
pub(super) struct Rounds<'a> {
    writer: &'a Writer,
    attendance: Attendance<'a>,
    /// What the next model is asked: it grows by what was called and what came of it, and is copied
    /// only then.
    inquiry: Cow<'a, Inquiry>,
    origin: Origin,
    calls: Calls<'a>,
    took: Took,
    first_token: Option<Duration>,
}

/// What a model said in one round.
struct Said {
    text: String,
    calls: Vec<ToolCall>,
    ending: Ending,
}

impl<'a> Rounds<'a> {
    /// The rounds of an answer whose first stream is from there.
    pub(super) fn new(writer: &'a Writer, origin: Origin) -> Self {
        Self {
            attendance: Attendance::new(writer, &origin.sources),
            inquiry: Cow::Borrowed(&writer.inquiry),
            calls: Calls::new(writer),
            took: Took::default(),
            first_token: None,
            writer,
            origin,
        }
    }

    /// Passes everything on until the answer ends, whoever ends it.
    pub(super) async fn write(mut self, stream: PaidStream) -> (Ended, Origin) {
        let mut ended = match self.follow(stream).await {
            Ok(reason) => Ended::because(reason),
            Err(ended) => *ended,
        };
        (ended.input_tokens, ended.output_tokens) = self.took.tokens();
        ended.first_token = self.first_token;
        self.origin.used_tools = self.calls.gave_something();
        (ended, self.origin)
    }

    async fn follow(&mut self, mut stream: PaidStream) -> Result<FinishReason, Box<Ended>> {
        loop {
            let said = self.listen(stream).await?;
            if said.ending != Ending::ToolCalls || !self.inquiry.offer.may_call() {
                return Ok(said.ending.finish_reason());
            }
            // Most answers call nothing, and keep no room for it.
            let returned = Box::pin(self.calls.make(&mut self.attendance, &said.calls)).await;
            let returned = returned.map_err(Ended::from)?;
            let inquiry = self.inquiry.to_mut();
            inquiry.go_on_after(said.text, said.calls, returned);
            stream = Box::pin(self.go_on()).await?;
        }
    }

    /// Passes on what a model says in one round. The stream ends here, so that the provider is hung
    /// up before anything else is done.
    async fn listen(&mut self, mut stream: PaidStream) -> Result<Said, Box<Ended>> {
        self.took.begin();
        if self.origin.by.is_no_model() || stream.is_free() {
            self.took.tell_nothing();
        }
        let heard = self.hear(&mut stream).await;
        if let Some(model) = stream.model() {
            model.clone_into(&mut self.origin.by.model);
        }
        heard
    }

    async fn hear(&mut self, stream: &mut PaidStream) -> Result<Said, Box<Ended>> {
        let (mut text, mut calls) = (String::new(), Vec::new());
        let ending = loop {
            let event = self.attendance.until(stream.next()).await;
            match event.map_err(Ended::from)? {
                Some(Ok(AnswerEvent::Text(more))) => {
                    let started = self.writer.started;
                    self.first_token.get_or_insert_with(|| started.elapsed());
                    self.writer.live.push(&more);
                    text.push_str(&more);
                    if self.writer.live.size().0 > LONGEST_ANSWER {
                        break Ending::Length;
                    }
                }
                Some(Ok(AnswerEvent::Usage(usage))) => self.took.tell(usage),
                Some(Ok(AnswerEvent::ToolCall { call, .. })) => calls.push(call),
                // A call is shown when it is whole.
                Some(Ok(
                    AnswerEvent::ToolCallStart { .. } | AnswerEvent::ToolCallArguments { .. },
                )) => {}
                Some(Ok(AnswerEvent::Finish(ending))) => break ending,
                Some(Err(error)) => {
                    tracing::warn!(
                        code = error.code().as_str(),
                        detail = error.detail(),
                        "an answer broke off"
                    );
                    return Err(interrupted(visitor_failure(&error)));
                }
                None => return Err(Ended::because(FinishReason::Interrupted).into()),
            }
        };
        Ok(Said {
            text,
            calls,
            ending,
        })
    }

    /// Asks for what comes after the calls.
    async fn go_on(&mut self) -> Result<PaidStream, Box<Ended>> {
        let models = self
            .origin
            .next_models(&self.writer.contents, self.first_token.is_some());
        let opener = self.writer.opener(&self.inquiry);
        let opening = opener.go_on(&models, &self.origin.sources);
        let opened = self.attendance.until(opening).await.map_err(Ended::from)?;
        let opened = match opened {
            Ok(opened) => opened,
            // The client's own sentence ends the answer.
            Err(NotOpened::NoBudget(_)) => return Ok(self.writer.no_budget_sentence()),
            Err(error) => return Err(interrupted(opening_failure(&error))),
        };
        self.origin.by = opened.origin.by;
        Ok(opened.stream)
    }
}

fn interrupted(failure: crate::chat::event::Failure) -> Box<Ended> {
    Box::new(Ended::failed(FinishReason::Interrupted, failure))
}
