//! Answers being written in this process, and whoever listens to them.
//!
//! An answer keeps its text and steps once; a listener keeps only a position in them and takes what
//! is new when it is ready. So a slow listener costs nothing and sees larger pieces, several may listen,
//! one may come late, and a finished answer is followed by the same code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stoa_domain::{MessageId, SessionId};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::body::Body;
use super::event::{Cursor, Event, EventId, Failure};
use super::step::Step;

/// How an answer stands before its first event.
#[derive(Clone, Debug, PartialEq)]
enum Opening {
    Pending,
    Open,
    Failed(Failure),
}

struct Written {
    opening: Opening,
    preamble: Vec<Event>,
    body: Body,
    tail: Vec<Event>,
    listeners: usize,
    deserted_at: Option<Instant>,
}

/// One answer, while it is written and shortly after.
pub struct LiveAnswer {
    message: MessageId,
    session: SessionId,
    written: Mutex<Written>,
    changed: watch::Sender<()>,
    stop: CancellationToken,
    /// That the visitor has said whether a call may be made.
    decided: Notify,
}

impl LiveAnswer {
    /// An answer of which nothing is there yet.
    #[must_use]
    pub fn new(message: MessageId, session: SessionId) -> Arc<Self> {
        let written = Written {
            opening: Opening::Pending,
            preamble: Vec::new(),
            body: Body::default(),
            tail: Vec::new(),
            listeners: 0,
            deserted_at: Some(Instant::now()),
        };
        Arc::new(Self {
            message,
            session,
            written: Mutex::new(written),
            changed: watch::Sender::new(()),
            stop: CancellationToken::new(),
            decided: Notify::new(),
        })
    }

    /// The answer's id.
    #[must_use]
    pub const fn message(&self) -> MessageId {
        self.message
    }

    /// Its conversation.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.written());
        self.changed.send_replace(());
    }

    /// Says what comes before the text; from now on listeners are served.
    pub fn open(&self, preamble: Vec<Event>) {
        self.change(|written| {
            written.preamble = preamble;
            written.opening = Opening::Open;
        });
    }

    /// Says what comes before the text unless that was said already.
    pub fn open_once(&self, preamble: Vec<Event>) {
        if self.written().opening != Opening::Open {
            self.open(preamble);
        }
    }

    /// Says that there will be no answer; listeners that wait for it to open are told why.
    pub fn fail_to_open(&self, failure: Failure) {
        self.change(|written| written.opening = Opening::Failed(failure));
    }

    /// Adds text.
    pub fn push(&self, text: &str) {
        self.change(|written| written.body.push_text(text));
    }

    /// Adds a step between the words.
    pub fn push_step(&self, step: Step) {
        self.change(|written| written.body.push_step(step));
    }

    /// Says of calls without an outcome what is known of them, since the answer ends here.
    pub fn end_calls(&self) {
        self.change(|written| written.body.end_calls());
    }

    /// Replaces what was written by more, of which it is the beginning.
    pub fn extend_to(&self, longer: &Body) {
        self.change(|written| written.body.extend_to(longer));
    }

    /// Says what comes after the text. Nothing follows.
    pub fn close(&self, tail: Vec<Event>) {
        self.change(|written| written.tail = tail);
    }

    /// What has been written so far.
    #[must_use]
    pub fn body(&self) -> Body {
        self.written().body.clone()
    }

    /// How much has been written so far: bytes of text, and steps.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let written = self.written();
        (written.body.text().len(), written.body.steps().len())
    }

    /// How long nobody has listened; zero while somebody does.
    #[must_use]
    pub fn deserted_for(&self) -> Duration {
        self.written()
            .deserted_at
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Notes that somebody listens on another replica: for now the answer is as if they had left here
    /// this moment.
    pub fn followed_elsewhere(&self) {
        let mut written = self.written();
        if written.listeners == 0 {
            written.deserted_at = Some(Instant::now());
        }
    }

    /// Asks the writer to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when somebody asked the writer to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Tells the writer that the visitor has said whether a call may be made.
    pub fn decide(&self) {
        self.decided.notify_one();
    }

    /// Resolves when the visitor has said something that the writer has not looked at.
    pub async fn decided(&self) {
        self.decided.notified().await;
    }

    /// Waits until the first event is there.
    ///
    /// # Errors
    /// Why there will be no answer.
    pub async fn opened(&self) -> Result<(), Failure> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.written().opening.clone() {
                Opening::Open => return Ok(()),
                Opening::Failed(failure) => return Err(failure),
                Opening::Pending => {}
            }
            if changed.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Begins to listen after a position.
    #[must_use]
    pub fn listen(self: &Arc<Self>, after: Cursor) -> Listener {
        let mut written = self.written();
        written.listeners += 1;
        written.deserted_at = None;
        drop(written);
        Listener {
            answer: Arc::clone(self),
            changed: self.changed.subscribe(),
            cursor: after,
            ready: Vec::new(),
            ended: false,
        }
    }
}

/// A listener's place in one answer.
pub struct Listener {
    answer: Arc<LiveAnswer>,
    changed: watch::Receiver<()>,
    cursor: Cursor,
    /// Events taken and not yet given out, last first.
    ready: Vec<(EventId, Event)>,
    /// The last event was taken.
    ended: bool,
}

impl Listener {
    /// Whose answer it is.
    #[must_use]
    pub fn message(&self) -> MessageId {
        self.answer.message
    }

    /// The next event, or `None` after [`Event::Done`]. Safe to cancel: nothing is lost.
    pub async fn next(&mut self) -> Option<(EventId, Event)> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            self.changed.borrow_and_update();
            let ended = self.take_new();
            if !self.ready.is_empty() {
                continue;
            }
            if ended || self.changed.changed().await.is_err() {
                return None;
            }
            // A provider's tokens often come several at once and are passed on one by one. Whoever has
            // the processor meanwhile may be about to write more: what goes out together costs one
            // write. Where nobody else has anything to do, this takes no time.
            tokio::task::yield_now().await;
        }
    }

    /// Takes everything after the cursor; says whether there can be nothing more.
    fn take_new(&mut self) -> bool {
        let written = self.answer.written();
        let cursor = &mut self.cursor;
        while let Some(event) = written.preamble.get(cursor.preamble) {
            cursor.preamble += 1;
            let id = EventId::Preamble(cursor.preamble);
            self.ready.push((id, event.clone()));
        }
        written.body.take_after(cursor, &mut self.ready);
        if let Some(last) = written.tail.len().checked_sub(1).filter(|_| !self.ended) {
            // Whoever asks for what comes after the end is told that it is the end.
            cursor.tail = cursor.tail.min(last);
        }
        while let Some(event) = written.tail.get(cursor.tail) {
            cursor.tail += 1;
            let id = EventId::Tail(cursor.tail);
            self.ready.push((id, event.clone()));
        }
        self.ready.reverse();
        self.ended = !written.tail.is_empty() && cursor.tail >= written.tail.len();
        self.ended
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut written = self.answer.written();
        written.listeners -= 1;
        if written.listeners == 0 {
            written.deserted_at = Some(Instant::now());
        }
    }
}

/// The answers being written in this process, by id.
#[derive(Default)]
pub struct LiveAnswers(Mutex<HashMap<MessageId, Arc<LiveAnswer>>>);

impl LiveAnswers {
    fn map(&self) -> MutexGuard<'_, HashMap<MessageId, Arc<LiveAnswer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an answer until the returned guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>, answer: &Arc<LiveAnswer>) -> Entered {
        self.map().insert(answer.message, Arc::clone(answer));
        Entered {
            answers: Arc::clone(self),
            message: answer.message,
        }
    }

    /// The answer, if it is being written here.
    #[must_use]
    pub fn find(&self, message: MessageId) -> Option<Arc<LiveAnswer>> {
        self.map().get(&message).cloned()
    }

    /// Stops what is being written in a conversation; says whether there was anything.
    pub fn stop_session(&self, session: SessionId) -> bool {
        let answers: Vec<_> = self
            .map()
            .values()
            .filter(|answer| answer.session == session)
            .cloned()
            .collect();
        answers.iter().for_each(|answer| answer.stop());
        !answers.is_empty()
    }

    /// How many answers are being written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether none is being written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }
}

/// Keeps an answer among the live ones while its writer runs, however it ends.
pub struct Entered {
    answers: Arc<LiveAnswers>,
    message: MessageId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.answers.map().remove(&self.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::step::TextPart;
    use stoa_domain::{Clock, Random};

    const fn text(bytes: usize) -> EventId {
        EventId::Text { bytes, steps: 0 }
    }

    fn answer() -> Arc<LiveAnswer> {
        let (clock, random) = (Clock::system(), Random::seeded(1));
        LiveAnswer::new(
            MessageId::generate(&clock, &random),
            SessionId::generate(&clock, &random),
        )
    }

    async fn rest(mut listener: Listener) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some((id, event)) = listener.next().await {
            seen.push(match event {
                Event::TextDelta(_, delta) => format!("{id} {delta}"),
                Event::TextEnd(_) => format!("{id} TextEnd"),
                other => format!("{id} {other:?}"),
            });
        }
        seen
    }

    #[tokio::test]
    async fn a_listener_sees_each_piece_as_it_comes_and_a_late_one_sees_all_at_once() {
        let answer = answer();
        let mut early = answer.listen(Cursor::default());
        answer.open(vec![Event::TextStart]);
        assert_eq!(
            early.next().await,
            Some((EventId::Preamble(1), Event::TextStart))
        );
        answer.push("Grü");
        assert_eq!(
            early.next().await,
            Some((text(4), Event::TextDelta(TextPart::FIRST, "Grü".into())))
        );
        answer.push("ße");
        answer.close(vec![Event::TextEnd(TextPart::FIRST), Event::Done]);
        assert_eq!(rest(early).await, ["t7 ße", "e1 TextEnd", "e2 Done"]);

        let late = rest(answer.listen(Cursor::default())).await;
        assert_eq!(late, ["p1 TextStart", "t7 Grüße", "e1 TextEnd", "e2 Done"]);
    }

    #[tokio::test]
    async fn a_writer_that_is_about_to_write_more_is_given_its_turn_first() {
        let answer = answer();
        answer.open(vec![Event::TextStart]);
        let mut listener = answer.listen(Cursor::default());
        listener.next().await;
        #[expect(clippy::disallowed_methods, reason = "it is joined below")]
        let hearing = tokio::spawn(async move { listener.next().await });
        tokio::task::yield_now().await;
        answer.push("Grü");
        tokio::task::yield_now().await;
        answer.push("ße");
        let (id, _) = hearing.await.unwrap().unwrap();
        assert_eq!(id, text(7), "both went out in one piece");
    }

    #[tokio::test]
    async fn a_stream_goes_on_after_any_id_it_gave() {
        let answer = answer();
        answer.open(vec![Event::TextStart]);
        answer.push("Grüße");
        answer.close(vec![Event::TextEnd(TextPart::FIRST), Event::Done]);
        let after = |id: &str| rest(answer.listen(Cursor::parse(id).unwrap()));
        assert_eq!(after("p1").await, ["t7 Grüße", "e1 TextEnd", "e2 Done"]);
        assert_eq!(after("t4").await, ["t7 ße", "e1 TextEnd", "e2 Done"]);
        assert_eq!(
            after("t3").await,
            ["t7 üße", "e1 TextEnd", "e2 Done"],
            "not inside a character"
        );
        assert_eq!(after("e1").await, ["e2 Done"]);
        for past in ["e2", "e9"] {
            assert_eq!(after(past).await, ["e2 Done"], "{past}");
        }
        assert!(after("t999").await.len() == 2);
        for bad in ["", "x1", "t", "t-1", "ü1", "t1.", "t1.x", "t1.2.3", "p1.2"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn it_is_deserted_only_while_nobody_listens() {
        let answer = answer();
        let first = answer.listen(Cursor::default());
        let second = answer.listen(Cursor::default());
        drop(first);
        assert_eq!(answer.deserted_for(), Duration::ZERO);
        drop(second);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(answer.deserted_for() >= Duration::from_millis(50));
        answer.followed_elsewhere();
        assert!(answer.deserted_for() < Duration::from_millis(50));
        let third = answer.listen(Cursor::default());
        answer.followed_elsewhere();
        assert_eq!(answer.deserted_for(), Duration::ZERO);
        drop(third);
    }

    #[tokio::test]
    async fn stopping_a_session_stops_its_answers_and_no_other() {
        let answers = Arc::new(LiveAnswers::default());
        let answer = answer();
        let entered = answers.enter(&answer);
        let other = SessionId::generate(&Clock::system(), &Random::seeded(9));
        assert!(!answers.stop_session(other));
        assert!(answers.stop_session(answer.session()));
        answer.stopped().await;
        drop(entered);
        assert!(answers.is_empty());
    }
}
