//! The body of a streamed answer: events, made one at a time, with the faults that were asked for.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::answer::Answer;
use crate::behaviour::{Behaviour, Fault, LineEnd};
use crate::format::{Format, Frame, Script};
use crate::record::Watch;
use crate::server::Admitted;

/// How long a written piece is given to leave before the connection is cut.
const BEFORE_CUT: Duration = Duration::from_millis(20);

/// How often a hanging stream with comments sends one.
const COMMENT_EVERY: Duration = Duration::from_millis(50);

/// What is done next.
enum Act {
    Write(Bytes),
    /// A token goes out.
    Count,
    /// Lets what was written leave before anything else is.
    Flush,
    Wait(Instant),
    Hang,
    Cut,
    End,
}

/// Where the answer stands.
#[derive(Clone, Copy)]
enum Stage {
    Head,
    Reasoning(usize),
    Token(usize),
    Call(usize),
    Finish,
    Done,
    Over,
}

/// The bytes of a streamed answer.
pub(crate) struct AnswerBody {
    behaviour: Behaviour,
    answer: Answer,
    script: Script,
    watch: Watch,
    acts: VecDeque<Act>,
    stage: Stage,
    first_token: Instant,
    flushing: bool,
    alarm: Pin<Box<Sleep>>,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AnswerBody {
    pub(crate) fn new(
        format: Format,
        admitted: Admitted,
        answer: Answer,
        end: CancellationToken,
    ) -> Self {
        let Admitted {
            behaviour,
            request,
            model,
            watch,
        } = admitted;
        let first_token = Instant::now() + behaviour.delay;
        // OpenAI's tells it only to those who ask.
        let wants_usage = matches!(format, Format::Anthropic | Format::Gemini)
            || request["stream_options"]["include_usage"] == Value::Bool(true);
        Self {
            answer,
            script: Script {
                format,
                model,
                usage: wants_usage && !behaviour.no_usage,
            },
            watch,
            acts: VecDeque::new(),
            stage: Stage::Head,
            first_token,
            flushing: false,
            alarm: Box::pin(sleep_until(first_token)),
            end: Box::pin(end.cancelled_owned()),
            behaviour,
        }
    }

    /// Decides what comes next, of which there is always something until the end.
    fn plan(&mut self) {
        let (next, frames) = match self.stage {
            Stage::Head => (Stage::Reasoning(0), self.script.head(&self.answer)),
            Stage::Reasoning(index) if index < self.behaviour.reasoning => {
                self.pace(index);
                (Stage::Reasoning(index + 1), vec![self.script.thought()])
            }
            Stage::Reasoning(_) => (Stage::Token(0), Vec::new()),
            Stage::Token(index) => self.token(index),
            Stage::Call(index) => match self.answer.calls.get(index) {
                Some(call) => (Stage::Call(index + 1), self.script.call(index, call)),
                None => (Stage::Finish, Vec::new()),
            },
            Stage::Finish => {
                let frames = self.script.finish(&self.answer, &self.behaviour);
                (Stage::Done, frames)
            }
            Stage::Done => {
                let done = self.script.done().filter(|_| !self.behaviour.no_done);
                (Stage::Over, done.into_iter().collect())
            }
            Stage::Over => {
                let last = if self.behaviour.stay_open {
                    Act::Hang
                } else {
                    Act::End
                };
                self.acts.push_back(last);
                return;
            }
        };
        self.stage = next;
        for frame in frames {
            self.write(&frame);
        }
    }

    fn token(&mut self, index: usize) -> (Stage, Vec<Frame>) {
        if let Some((_, fault)) = self.behaviour.fault.filter(|(after, _)| *after == index) {
            return (Stage::Over, self.fault(fault).into_iter().collect());
        }
        if index == self.answer.len() {
            return (Stage::Call(0), Vec::new());
        }
        self.pace(self.behaviour.reasoning + index);
        self.acts.push_back(Act::Count);
        let frame = self.script.token(self.answer.token(index));
        (Stage::Token(index + 1), vec![frame])
    }

    fn fault(&mut self, fault: Fault) -> Option<Frame> {
        match fault {
            Fault::Hang => self.acts.push_back(Act::Hang),
            Fault::Drop => self.cut(),
            Fault::End => self.acts.push_back(Act::End),
            Fault::Error => return Some(self.script.failure()),
            Fault::BadJson => {
                return Some(Frame {
                    name: None,
                    data: "{\"choices\": [".to_owned(),
                });
            }
        }
        None
    }

    /// Waits until the token at `index` is due.
    fn pace(&mut self, index: usize) {
        let since_first = self.behaviour.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(index as f64 / rate)
        });
        let due = self.first_token + since_first;
        if due > Instant::now() {
            self.acts.push_back(Act::Wait(due));
        }
    }

    /// Writes an event, in the pieces and with the line ends that were asked for.
    fn write(&mut self, Frame { name, data }: &Frame) {
        let end = match self.behaviour.line_end {
            LineEnd::Lf => "\n",
            LineEnd::CrLf => "\r\n",
            LineEnd::Cr => "\r",
        };
        let mut event = String::with_capacity(data.len() + 16);
        if self.behaviour.comments {
            event.push_str(": keep-alive");
            event.push_str(end);
            event.push_str(end);
        }
        if let Some(name) = name {
            for part in ["event: ", name, end] {
                event.push_str(part);
            }
        }
        for line in self.data_lines(data) {
            for part in ["data: ", line, end] {
                event.push_str(part);
            }
        }
        event.push_str(end);
        let bytes = Bytes::from(event);
        let inside_character = |it: &usize| bytes[*it] & 0xc0 == 0x80;
        let cut = (0..bytes.len()).find(inside_character);
        if let Some(cut) = cut.filter(|_| self.behaviour.cut_utf8) {
            self.acts.push_back(Act::Write(bytes.slice(..cut)));
            self.cut();
            return;
        }
        let splits: Vec<usize> = match (self.behaviour.write, self.behaviour.split_utf8) {
            (Some(size), _) => (size..bytes.len()).step_by(size).collect(),
            (None, true) => (0..bytes.len()).filter(inside_character).collect(),
            (None, false) => Vec::new(),
        };
        let mut start = 0;
        for split in splits {
            self.acts.push_back(Act::Write(bytes.slice(start..split)));
            self.acts.push_back(Act::Flush);
            start = split;
        }
        self.acts.push_back(Act::Write(bytes.slice(start..)));
    }

    /// The lines of an event's data: one, or three where that is asked for and it is an object, whose
    /// first and last character may be followed and preceded by a new line.
    fn data_lines<'a>(&self, data: &'a str) -> Vec<&'a str> {
        let inside = data.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        match inside.filter(|_| self.behaviour.data_lines) {
            Some(inside) => vec!["{", inside, "}"],
            None => vec![data],
        }
    }

    fn cut(&mut self) {
        let soon = Instant::now() + BEFORE_CUT;
        self.acts.extend([Act::Wait(soon), Act::Cut]);
    }

    fn poll_wait(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        if self.alarm.deadline() != until {
            self.alarm.as_mut().reset(until);
        }
        self.alarm.as_mut().poll(context)
    }

    /// Hangs until the server ends; with comments, one every now and then.
    fn poll_hang(&mut self, context: &mut Context<'_>) -> Poll<Act> {
        if !self.behaviour.comments {
            return Poll::Pending;
        }
        if self.alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let next = Instant::now() + COMMENT_EVERY;
        self.alarm.as_mut().reset(next);
        Poll::Ready(Act::Write(Bytes::from_static(b": still here\n\n")))
    }
}

impl Stream for AnswerBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(act) = this.acts.pop_front() else {
                this.plan();
                continue;
            };
            match act {
                Act::Write(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Act::Count => {
                    this.watch.sent_token();
                    continue;
                }
                Act::Flush if std::mem::replace(&mut this.flushing, true) => this.flushing = false,
                Act::Flush => {
                    this.acts.push_front(Act::Flush);
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Act::End => {
                    this.watch.served();
                    return Poll::Ready(None);
                }
                Act::Cut => {
                    this.watch.served();
                    return Poll::Ready(Some(Err(io::Error::other("cut on purpose"))));
                }
                Act::Wait(until) => {
                    if this.poll_wait(context, until).is_ready() {
                        continue;
                    }
                    this.acts.push_front(Act::Wait(until));
                }
                Act::Hang => {
                    this.acts.push_front(Act::Hang);
                    if let Poll::Ready(Act::Write(bytes)) = this.poll_hang(context) {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
            // Waiting: the end of the server ends that too.
            if this.end.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            this.acts.push_front(Act::Cut);
        }
    }
}
