//! Leaving is not stopping; stopping is; what broke can be gone on with, from any replica.

use std::time::{Duration, Instant};

use serde_json::Value;
use stoa_fake_ai::FakeAi;

use crate::support::{
    Caller, Conversation, Events, Server, StreamEvent, TestInstance, eventually, model_at,
    read_stream, said,
};

/// A conversation with a model that can be hung up on.
struct Chat {
    server: Server,
    fake: FakeAi,
    talk: Conversation,
}

/// One with a model that writes 60 tokens, 40 a second.
async fn slow_chat() -> Chat {
    chat_with("fake:tokens=60,rate=40").await
}

async fn chat_with(model: &str) -> Chat {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    instance
        .add_model(&server, model_at(&fake.base_url(), model))
        .await;
    let talk = Conversation::begin(&server, &instance).await;
    fake.clear_requests();
    Chat { server, fake, talk }
}

impl Chat {
    /// Asks, and listens until so many events have come.
    async fn ask_until(&self, events: usize) -> Vec<StreamEvent> {
        let asked = self.talk.send("hello").await;
        read_stream(asked, |seen| seen.len() >= events).await
    }

    async fn resume(&self, message: &str, last: &str) -> Vec<StreamEvent> {
        read_stream(self.talk.resume(message, last).await, |_| false).await
    }

    fn is_hung_up_on(&self) -> bool {
        let requests = self.fake.requests();
        requests.iter().any(|it| it.disconnected_at_token.is_some())
    }

    async fn hung_up_on(&self) {
        let hung_up = || async { self.is_hung_up_on().then_some(()) };
        eventually("a model that was hung up on", hung_up).await;
    }

    async fn hung_up_on_within(&self, most: Duration) {
        let hung_up = async {
            while !self.is_hung_up_on() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(most, hung_up).await.unwrap();
    }

    /// Stops the answer by this server; the model is hung up on at once.
    async fn stopped_by(&self, server: &Caller) {
        let asked = Instant::now();
        self.talk.on(server).stop().await;
        self.hung_up_on().await;
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    async fn answer(&self) -> Value {
        self.talk.history().await[1].clone()
    }

    async fn final_answer(&self) -> Value {
        eventually("a final answer", || async {
            let answer = self.answer().await;
            (answer["state"] == "complete").then_some(answer)
        })
        .await
    }
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_ended() {
    let chat = slow_chat().await;
    let seen = chat.ask_until(8).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    let last = seen.last().unwrap().id.clone().unwrap();
    let rest = chat.resume(message, &last).await;
    assert_eq!(rest.last().unwrap().kind(), "[DONE]");
    let answer = chat.answer().await;
    assert_eq!(
        format!("{}{}", said(&seen), said(&rest)),
        answer["content"].as_str().unwrap()
    );
    assert_eq!(answer["finish_reason"], "stop");

    let replayed = chat.talk.replay(message).await;
    assert_eq!(said(&replayed), answer["content"].as_str().unwrap());
    assert_eq!(replayed[0].kind(), "start");
    assert_eq!(chat.fake.requests().len(), 1);
}

#[tokio::test]
async fn another_replica_goes_on_with_a_stream() {
    let chat = slow_chat().await;
    let seen = chat.ask_until(6).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    let last = seen.last().unwrap().id.clone().unwrap();
    let second = chat.server.replica().await;
    let rest = chat.talk.on(&second).resume(message, &last).await;
    let rest = read_stream(rest, |_| false).await;
    let answer = chat.answer().await;
    assert_eq!(
        format!("{}{}", said(&seen), said(&rest)),
        answer["content"].as_str().unwrap()
    );
    assert_eq!(rest.last().unwrap().kind(), "[DONE]");
}

#[tokio::test]
async fn stop_ends_the_answer_and_hangs_up_on_the_model_within_a_second() {
    let chat = slow_chat().await;
    let seen = chat.ask_until(6).await;
    let message = seen[0].data["messageId"].as_str().unwrap().to_owned();
    chat.stopped_by(&chat.server).await;
    let answer = chat.final_answer().await;
    assert_eq!(answer["finish_reason"], "cancelled");
    let replayed = chat.talk.replay(&message).await;
    assert_eq!(said(&replayed), answer["content"].as_str().unwrap());
    assert!(!said(&replayed).is_empty());
}

#[tokio::test]
async fn stop_reaches_the_replica_that_writes() {
    let chat = slow_chat().await;
    // Before the question: a replica that is long in starting would find the answer finished.
    let second = chat.server.replica().await;
    chat.ask_until(6).await;
    chat.stopped_by(&second).await;
    let answer = chat.final_answer().await;
    assert_eq!(answer["finish_reason"], "cancelled");
}

#[tokio::test]
async fn leaving_is_not_stopping() {
    let chat = slow_chat().await;
    drop(chat.ask_until(6).await);
    let answer = chat.final_answer().await;
    assert_eq!(
        answer["finish_reason"], "stop",
        "the model was not hung up on"
    );
}

#[tokio::test]
async fn whoever_stays_away_is_waited_for_fifteen_seconds_and_whoever_comes_back_anew() {
    let chat = chat_with("fake:tokens=6000,rate=20").await;
    let seen = chat.ask_until(6).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    // Away twice, together for longer than the grace, and once less than it.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let last = seen.last().unwrap().id.clone().unwrap();
    let back = read_stream(chat.talk.resume(message, &last).await, |events| {
        events.len() >= 30
    });
    assert_eq!(back.await.len(), 30);
    let left = Instant::now();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!chat.is_hung_up_on());
    assert_eq!(chat.answer().await["state"], "streaming");
    chat.hung_up_on().await;
    let away = left.elapsed();
    assert!(away >= Duration::from_secs(15), "{away:?}");
    assert!(away < Duration::from_secs(20), "{away:?}");
    let answer = chat.final_answer().await;
    assert_eq!(answer["finish_reason"], "cancelled");
    let replayed = chat.talk.replay(message).await;
    assert_eq!(said(&replayed), answer["content"].as_str().unwrap());
}

#[tokio::test]
async fn whoever_comes_back_to_another_replica_is_not_taken_for_gone() {
    let chat = chat_with("fake:tokens=6000,rate=20").await;
    let second = chat.server.replica().await;
    let seen = chat.ask_until(6).await;
    let message = seen[0].data["messageId"].as_str().unwrap();
    let there = chat.talk.on(&second).resume(message, "").await;
    // For longer than whoever stays away is waited for.
    let left = Instant::now();
    let back = read_stream(there, |_| left.elapsed() > Duration::from_secs(19));
    assert_eq!(back.await.last().unwrap().kind(), "text-delta");
    assert!(!chat.is_hung_up_on());
    // Nobody listens at either now.
    chat.hung_up_on_within(Duration::from_secs(25)).await;
}

#[tokio::test]
async fn several_listen_here_and_there_and_one_who_leaves_takes_nothing_from_the_others() {
    let chat = chat_with("fake:tokens=80,rate=40").await;
    let second = chat.server.replica().await;
    let mut asked = Events::of(chat.talk.send("hello").await);
    let start = asked.next().await.unwrap().unwrap();
    let message = start.data["messageId"].as_str().unwrap();
    let there = chat.talk.on(&second);
    let late = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        chat.talk.replay(message).await
    };
    let (left, here, there, late) = tokio::join!(
        async {
            let mut seen = String::new();
            for _ in 0..12 {
                let event = asked.next().await.unwrap().unwrap();
                seen.push_str(event.data["delta"].as_str().unwrap_or_default());
            }
            drop(asked);
            seen
        },
        chat.talk.replay(message),
        there.replay(message),
        late,
    );
    let answer = chat.answer().await;
    let text = answer["content"].as_str().unwrap();
    assert_eq!(answer["finish_reason"], "stop");
    assert!(!left.is_empty() && text.starts_with(&left));
    for events in [&here, &there, &late] {
        assert_eq!(said(events), text);
        assert_eq!(events[0].data["messageId"], message);
        assert_eq!(events[events.len() - 2].kind(), "finish");
    }
    assert!(here.len() > 40, "tokens as they came: {}", here.len());
    assert_eq!(chat.fake.requests().len(), 1, "the model was asked once");
}

#[tokio::test]
async fn shutting_down_saves_what_arrived() {
    let chat = slow_chat().await;
    let seen = chat.ask_until(10).await;
    let database = chat.server.stop().await;
    let restarted = Server::on(database, |_| {}).await;
    let answer = chat.talk.on(&restarted).history().await[1].clone();
    assert_eq!(answer["state"], "complete");
    assert_eq!(answer["finish_reason"], "interrupted");
    assert!(
        answer["content"]
            .as_str()
            .unwrap()
            .starts_with(&said(&seen)),
        "{answer}"
    );
}
