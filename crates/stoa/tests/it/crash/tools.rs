//! `kill -9` while tools are called and while the visitor is asked: nothing is made twice, and what is
//! known is what is said.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use stoa_fake_ai::{Behaviour, FakeAi};

use super::{SWEPT, history};
use crate::moving::managed_database;
use crate::support::{
    Caller, Events, Serving, StreamEvent, TestInstance, eventually, model_at, on_managed_cluster,
    problem, read_stream,
};
use crate::tools::shop::Shop;

/// A tool at the place of the shop that never answers.
fn slow(shop: &Shop, name: &str, method: &str) -> Value {
    json!({
        "name": name, "description": "Takes its time.", "method": method,
        "url": format!("{}/slow/{{id}}", shop.url), "timeout_ms": 20_000,
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    })
}

/// A conversation in which a call is open.
struct Talk {
    session: String,
    token: String,
    message: String,
    last: String,
    /// The answer's connection, which the crash breaks.
    _events: Events,
}

impl Talk {
    /// Asks, with a model that calls this, and reads until an event of this kind.
    async fn until(
        (caller, instance, fake): (&Caller, &TestInstance, &FakeAi),
        behaviour: &str,
        kind: &str,
    ) -> (Self, StreamEvent) {
        fake.set_behaviour(Behaviour::parse(behaviour).unwrap());
        let (session, token) = instance.session(caller).await;
        let path = format!("/sessions/{session}/messages");
        let request = caller.visitor(&token, Method::POST, &path);
        let response = request
            .json(&json!({ "content": "Do it" }))
            .send()
            .await
            .unwrap();
        let mut events = Events::of(response);
        let mut message = String::new();
        loop {
            let event = events.next().await.unwrap().unwrap();
            if event.kind() == "start" {
                event.data["messageId"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut message);
            }
            if event.kind() == kind {
                let last = event.id.clone().unwrap();
                let talk = Self {
                    session,
                    token,
                    message,
                    last,
                    _events: events,
                };
                return (talk, event);
            }
        }
    }

    async fn step(&self, caller: &Caller) -> Value {
        let messages = history(caller, &self.token, &self.session).await;
        messages[1]["steps"][0].clone()
    }

    async fn step_is(&self, caller: &Caller, state: &str) -> Value {
        eventually(state, || async {
            let step = self.step(caller).await;
            (step["state"] == state).then_some(step)
        })
        .await
    }

    async fn decide(&self, caller: &Caller, approval: &str) -> reqwest::Response {
        let path = format!("/messages/{}/approvals/{approval}", self.message);
        let request = caller.visitor(&self.token, Method::POST, &path);
        request
            .json(&json!({ "approved": true }))
            .send()
            .await
            .unwrap()
    }

    /// Comes back, and reads to the end.
    async fn come_back(&self, caller: &Caller) -> Vec<StreamEvent> {
        let path = format!("/messages/{}/stream", self.message);
        let request = caller.visitor(&self.token, Method::GET, &path);
        let request = request.header("last-event-id", &self.last);
        read_stream(request.send().await.unwrap(), |_| false).await
    }

    /// Waits until the answer is closed, and gives it.
    async fn closed(&self, caller: &Caller) -> Value {
        let begun = Instant::now();
        loop {
            let answer = history(caller, &self.token, &self.session).await[1].clone();
            if answer["state"] == "complete" {
                return answer;
            }
            assert!(begun.elapsed() < SWEPT, "not closed: {answer}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

/// How the calls of an instance stand in its database.
async fn states(instance: &TestInstance) -> Vec<String> {
    let url = managed_database(instance);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query_scalar("SELECT state FROM stoa.tool_calls ORDER BY created_at")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn calls_that_a_crash_cuts_are_not_made_again_and_what_is_known_is_said() {
    let (fake, shop) = (FakeAi::start().await.unwrap(), Shop::open().await);
    let program = on_managed_cluster().await;
    let (serving, program) = Serving::start(program, &["serve"]);
    let before = serving.caller(&program);
    let instance = TestInstance::create(&before, "Shop").await;
    instance
        .add_model(&before, model_at(&fake.base_url(), "model"))
        .await;
    for (name, method) in [("look", "GET"), ("order", "POST")] {
        let request = before.client(&instance.key, Method::POST, "/tools");
        let added = request
            .json(&slow(&shop, name, method))
            .send()
            .await
            .unwrap();
        assert_eq!(added.status(), StatusCode::CREATED);
    }
    let place = (&before, &instance, &fake);

    let look = r#"call=look{"id":"1"}"#;
    let (reading, _) = Talk::until(place, look, "tool-input-available").await;
    reading.step_is(&before, "running").await;
    let (order, request) = (r#"call=order{"id":"2"}"#, "tool-approval-request");
    let (asking, asked) = Talk::until(place, order, request).await;
    let approval = asked.data["approvalId"].as_str().unwrap().to_owned();
    asking.step_is(&before, "asking").await;
    let (writing, said) = Talk::until(place, r#"call=order{"id":"3"}"#, request).await;
    let yes = said.data["approvalId"].as_str().unwrap();
    assert_eq!(
        writing.decide(&before, yes).await.status(),
        StatusCode::NO_CONTENT
    );
    let both = ["GET /slow/1", "POST /slow/3"];
    eventually("both calls", || async {
        (shop.lines() == both).then_some(())
    })
    .await;
    // Whoever comes back is not asked what was answered, while the call is under way.
    let step = writing.step(&before).await;
    assert_eq!(
        (&step["state"], &step["error"]),
        (&json!("approved"), &Value::Null)
    );
    serving.end_by(rustix::process::Signal::KILL);

    let (serving, program) = Serving::start(program, &["serve"]);
    let after = serving.caller(&program);
    // Nobody is there any more to make what is approved now, whether the word is still taken or not.
    let late = asking.decide(&after, &approval).await.status();
    assert!(
        [StatusCode::NO_CONTENT, StatusCode::CONFLICT].contains(&late),
        "{late}"
    );
    let rest = writing.come_back(&after).await;
    let kinds: Vec<_> = rest.iter().map(StreamEvent::kind).collect();
    assert_eq!(
        kinds,
        [
            "tool-input-available",
            "tool-output-error",
            "error",
            "[DONE]"
        ]
    );
    assert_eq!(rest[0].data["providerMetadata"]["stoa"]["approved"], true);
    assert_eq!(rest[2].data["code"], "interrupted");
    for (talk, known) in [
        (&reading, "Whether it was done is not known."),
        (&asking, "It was not done."),
        (&writing, "Whether it was done is not known."),
    ] {
        let answer = talk.closed(&after).await;
        assert_eq!(answer["finish_reason"], "interrupted");
        let step = &answer["steps"][0];
        assert_eq!(step["state"], "abandoned", "{answer}");
        assert!(step["error"].as_str().unwrap().ends_with(known), "{answer}");
        let told = talk.come_back(&after).await;
        let told = told
            .iter()
            .find(|it| it.kind() == "tool-output-error")
            .unwrap();
        assert_eq!(told.data["errorText"], step["error"]);
    }
    problem(
        asking.decide(&after, &approval).await,
        409,
        "already_decided",
    )
    .await;
    let begun = Instant::now();
    while states(&instance).await != ["abandoned"; 3] {
        assert!(begun.elapsed() < SWEPT, "{:?}", states(&instance).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(
        shop.lines(),
        both,
        "nothing is made twice, nor what nobody allowed in time"
    );
}
