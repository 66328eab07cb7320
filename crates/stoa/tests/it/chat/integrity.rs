//! Whatever a provider does to its stream: everybody who listens hears the same to a proper end,
//! what is stored is what was heard, and the provider's connection is closed.

use reqwest::StatusCode;
use stoa_fake_ai::{Behaviour, FakeAi};

use crate::support::{
    Conversation, Events, Server, StreamEvent, TestInstance, eventually, model_at, said,
};

/// What the fake puts before its answer where characters are to be cut, and what it answers.
const WIDE: &str = "Grüße aus 東京 🦀, naïve café. ";
const ANSWER: &str = "You asked: How long?";

/// How a provider behaves, and what is to come of it.
struct Fault {
    behaviour: String,
    text: String,
    reason: &'static str,
    /// The code of the error with which the stream ends; none where it ends with `finish`.
    error: Option<&'static str>,
}

fn whole(behaviour: &str, text: &str) -> Fault {
    Fault {
        behaviour: behaviour.to_owned(),
        text: text.to_owned(),
        reason: "stop",
        error: None,
    }
}

fn broken(behaviour: &str, text: &str, error: &'static str) -> Fault {
    Fault {
        reason: "interrupted",
        error: Some(error),
        ..whole(behaviour, text)
    }
}

/// However the bytes come, and wherever they break off.
fn faults() -> Vec<Fault> {
    let wide = format!("{WIDE}{ANSWER}");
    let mut faults: Vec<_> = [
        "split_utf8",
        "split_utf8,write=1",
        "split_utf8,write=7,crlf",
        "split_utf8,cr",
        "split_utf8,comments,crlf",
        "split_utf8,data_lines",
        "split_utf8,data_lines,crlf,comments,write=5",
        "split_utf8,no_done",
        "split_utf8,no_done,stay_open",
        "split_utf8,stay_open",
    ]
    .into_iter()
    .map(|behaviour| whole(behaviour, &wide))
    .collect();
    let (large, megabyte) = ("x".repeat(200_000), "x".repeat(1 << 20));
    faults.extend([
        broken("rate=50,drop_after=2", "You asked: ", "ai_interrupted"),
        broken("rate=50,end_after=2", "You asked: ", "ai_interrupted"),
        broken("rate=50,error_after=2", "You asked: ", "ai_overloaded"),
        broken("rate=50,bad_json_after=2", "You asked: ", "ai_unavailable"),
        broken("no_finish,no_done,no_usage", ANSWER, "ai_interrupted"),
        broken(
            "rate=50,drop_after=3,cut_utf8",
            "You asked: ",
            "ai_interrupted",
        ),
        whole(
            &format!("text=One {large} two"),
            &format!("One {large} two"),
        ),
        Fault {
            reason: "length",
            ..whole(
                &format!("rate=20,text=One {megabyte} two"),
                &format!("One {megabyte}")[..1 << 20],
            )
        },
        broken(
            &format!("rate=20,text=One {} two", "x".repeat(5 << 20)),
            "One ",
            "ai_unavailable",
        ),
        Fault {
            reason: "length",
            ..whole("tokens=1000000000,huge=65536", &megabyte)
        },
    ]);
    faults
}

/// One conversation with a provider that misbehaves, heard here and at another replica.
struct Chat<'a> {
    fake: &'a FakeAi,
    here: Conversation,
    there: Conversation,
}

async fn to_the_end(mut stream: Events) -> Vec<StreamEvent> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await.unwrap() {
        events.push(event);
    }
    events
}

impl Chat<'_> {
    async fn endures(&self, fault: &Fault) {
        let what: String = fault.behaviour.chars().take(60).collect();
        let asked = self.here.send("How long?").await;
        assert_eq!(asked.status(), StatusCode::OK, "{what}");
        let mut asked = Events::of(asked);
        let start = asked.next().await.unwrap().unwrap();
        let message = start.data["messageId"].as_str().unwrap().to_owned();
        let (asker, here, there) = tokio::join!(
            to_the_end(asked),
            self.here.replay(&message),
            self.there.replay(&message),
        );
        let replayed = self.there.replay(&message).await;
        for (who, events) in [
            ("who asked", &asker),
            ("who listens besides", &here),
            ("who listens at another replica", &there),
            ("who comes later", &replayed),
        ] {
            let what = format!("{what}: {who}");
            assert!(said(events) == fault.text, "{what}: {events:.400?}");
            let kinds: Vec<_> = events.iter().map(StreamEvent::kind).collect();
            let end = match fault.error {
                None => &["text-end", "data-usage", "finish", "[DONE]"][..],
                Some(_) => &["error", "[DONE]"],
            };
            assert!(kinds.ends_with(end), "{what}: {kinds:?}");
            let error = events.iter().find(|event| event.kind() == "error");
            let code = error.map(|event| event.data["code"].as_str().unwrap());
            assert_eq!(code, fault.error, "{what}");
        }
        let history = self.here.history().await;
        let stored = history.last().unwrap();
        assert!(stored["content"] == *fault.text, "{what}");
        assert_eq!(stored["finish_reason"], fault.reason, "{what}");
        assert_eq!(stored["state"], "complete", "{what}");
        eventually(
            "connections to the provider that are all closed",
            || async {
                let requests = self.fake.requests();
                let last = requests.last().unwrap();
                last.outcome.map(|_| ())
            },
        )
        .await;
    }
}

#[tokio::test]
async fn every_listener_hears_what_is_stored_to_a_proper_end_whatever_the_provider_does() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let replica = server.replica().await;
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    for fault in faults() {
        fake.set_behaviour(Behaviour::parse(&fault.behaviour).unwrap());
        let here = Conversation::begin(&server, &instance).await;
        let chat = Chat {
            fake: &fake,
            there: here.on(&replica),
            here,
        };
        chat.endures(&fault).await;
    }
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_hung_up_and_everybody_is_told() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let silent = ["hang_after=2", "hang_after=2,comments"].map(async |behaviour| {
        let fake = FakeAi::start().await.unwrap();
        let instance = TestInstance::create(&server, "Silent").await;
        let model = model_at(&fake.base_url(), "fake");
        instance.add_model(&server, model).await;
        fake.set_behaviour(Behaviour::parse(behaviour).unwrap());
        let here = Conversation::begin(&server, &instance).await;
        let chat = Chat {
            fake: &fake,
            there: here.on(&replica),
            here,
        };
        chat.endures(&broken(behaviour, "You asked: ", "ai_timeout"))
            .await;
        let hung_up = fake.requests().pop().unwrap().disconnected_at_token;
        assert_eq!(hung_up, Some(2), "{behaviour}");
    });
    futures_util::future::join_all(silent).await;
}
