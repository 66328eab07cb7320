//! A visitor who asks all the time, writes down what was acknowledged, and comes back after a crash.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::world::{Moment, World};
use crate::support::{Events, StreamEvent};

/// Questions in one conversation.
const TURNS: usize = 5;

/// What has arrived of an answer is saved every second and a half.
const SAVED: Duration = Duration::from_millis(1_600);

/// How long a visitor who has come back waits before asking something else.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How an answer ended for its visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Interrupted,
}

/// A question, and what its visitor knows of its answer.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) client: usize,
    /// What is asked, by which its sender calls it too: no two ask the same.
    pub(super) words: String,
    pub(super) session: (String, String),
    /// What the answer will be when nothing happens to it.
    pub(super) whole: String,
    /// The answer's id, once the question was acknowledged.
    pub(super) message: Option<String>,
    /// The answer's text as far as it was seen.
    pub(super) seen: String,
    /// The last event's id.
    last: String,
    pub(super) end: Option<End>,
    /// When the first word of this telling came.
    first_word: Option<Instant>,
    /// How often a program began to tell it.
    told: usize,
    /// Whether the text was read from its beginning to its end at one go.
    pub(super) is_seen_whole: bool,
}

impl Question {
    fn new(world: &World, client: usize, session: &(String, String), number: &str) -> Self {
        let words = format!("Where is parcel {number}?");
        Self {
            client,
            whole: whole(&words, world.clients[client].words),
            words,
            session: session.clone(),
            message: None,
            seen: String::new(),
            last: String::new(),
            end: None,
            first_word: None,
            told: 0,
            is_seen_whole: false,
        }
    }

    /// Sends it, for the first time or again.
    pub(super) async fn send(&mut self, world: &World) {
        let (session, token) = &self.session;
        let path = format!("/sessions/{session}/messages");
        let body = json!({ "content": self.words, "client_message_id": self.words });
        world.saw(Moment::Asked);
        let sent = world.reach(|caller| caller.visitor(token, Method::POST, &path).json(&body));
        if let Some(response) = sent.await {
            self.seen.clear();
            self.read(world, response).await;
        }
    }

    /// Goes on with the answer after the last event that was seen.
    pub(super) async fn resume(&mut self, world: &World) {
        let message = self.message.as_deref().unwrap();
        let path = format!("/messages/{message}/stream");
        let (token, last) = (&self.session.1, &self.last);
        let sent = world.reach(|caller| {
            let request = caller.visitor(token, Method::GET, &path);
            request.header("last-event-id", last)
        });
        if let Some(response) = sent.await {
            self.read(world, response).await;
        }
    }

    /// Comes back to it in one way or the other.
    async fn return_to(&mut self, world: &World) {
        let chance = world.random.fraction();
        if self.message.is_some() && chance < 0.5 {
            self.resume(world).await;
        } else if chance < 0.7 {
            self.send_twice(world).await;
        } else {
            self.send(world).await;
        }
    }

    /// Has it answered again.
    pub(super) async fn regenerate(&mut self, world: &World) {
        let of = self.message.take().unwrap();
        let path = format!("/messages/{of}/regenerate");
        let token = &self.session.1;
        let sent = world.reach(|caller| caller.visitor(token, Method::POST, &path));
        let response = sent.await.unwrap();
        self.seen.clear();
        self.end = None;
        self.read(world, response).await;
        assert_ne!(self.message, Some(of), "another answer");
        assert_eq!(self.end, Some(End::Finished), "{self:?}");
    }

    /// Sends it twice at once, as a page does that lost patience.
    async fn send_twice(&mut self, world: &World) {
        let mut twin = self.clone();
        tokio::join!(self.send(world), twin.send(world));
        match (&self.message, &twin.message) {
            (Some(one), Some(other)) => assert_eq!(one, other, "{}: one answer", self.words),
            (None, Some(_)) => *self = twin,
            _ => {}
        }
    }

    async fn read(&mut self, world: &World, response: Response) {
        if response.status() != StatusCode::OK {
            let status = response.status();
            let Ok(body) = response.text().await else {
                return;
            };
            panic!("{}: {status}: {body}", self.words);
        }
        self.told += 1;
        self.first_word = None;
        let mut events = Events::of(response);
        let mut from_start = false;
        // What breaks off was the program's end.
        while let Ok(Some(event)) = events.next().await {
            from_start |= event.kind() == "start";
            self.hear(world, &event);
        }
        self.is_seen_whole = from_start && self.end.is_some();
    }

    fn hear(&mut self, world: &World, event: &StreamEvent) {
        if let Some(id) = &event.id {
            self.last.clone_from(id);
        }
        match event.kind() {
            "start" => {
                let message = event.data["messageId"].as_str().unwrap();
                let known = self.message.get_or_insert_with(|| message.to_owned());
                assert_eq!(known, message, "{}: one answer", self.words);
            }
            "text-delta" => {
                let is_first = self.seen.is_empty();
                let first = *self.first_word.get_or_insert_with(Instant::now);
                self.seen.push_str(event.data["delta"].as_str().unwrap());
                assert!(self.whole.starts_with(&self.seen), "{self:?}");
                if self.seen == self.whole {
                    world.saw(Moment::LastWord);
                } else if is_first {
                    world.saw(Moment::FirstWord);
                } else if first.elapsed() > SAVED {
                    world.saw(Moment::Saved);
                }
            }
            "finish" => {
                assert_eq!(self.seen, self.whole, "{}", self.words);
                self.ended(End::Finished);
                // What is told again may be waiting for the sweep to count it.
                if self.told == 1 {
                    world.finished(self.message.as_deref().unwrap());
                }
            }
            "error" => {
                assert_eq!(event.data["code"], "interrupted", "{event:?}");
                self.ended(End::Interrupted);
            }
            _ => {}
        }
    }

    /// An answer ends once: whoever asks again hears the same.
    fn ended(&mut self, end: End) {
        let before = *self.end.get_or_insert(end);
        assert_eq!(before, end, "{}", self.words);
    }
}

/// What the fake answers.
fn whole(question: &str, words: usize) -> String {
    let said = format!("You asked: {question}");
    let said: Vec<_> = said.split_inclusive(' ').collect();
    said.iter().cycle().take(words).copied().collect()
}

/// Asks one question after the other until it is over. What breaks off is gone on with, sent again,
/// or left as it is.
pub(super) async fn visit(
    world: &World,
    client: usize,
    name: &str,
    over: &CancellationToken,
) -> Vec<Question> {
    let mut asked: Vec<Question> = Vec::new();
    let mut session = world.begin(client).await;
    while !over.is_cancelled() {
        if asked.len() % TURNS == TURNS - 1 {
            session = world.begin(client).await;
        }
        let number = format!("{name}-{}", asked.len());
        let mut question = Question::new(world, client, &session, &number);
        let chance = || world.random.fraction();
        if chance() < 0.2 {
            question.send_twice(world).await;
        } else {
            question.send(world).await;
        }
        let mut returns = (chance() * 3.0) as usize;
        while question.end.is_none() && returns > 0 && !over.is_cancelled() {
            returns -= 1;
            let back = question.return_to(world);
            // An answer that nobody writes any more is closed later than a visitor waits here.
            tokio::time::timeout(PATIENCE, back).await.ok();
        }
        asked.push(question);
        tokio::time::sleep(Duration::from_millis(100).mul_f64(chance())).await;
    }
    asked
}
