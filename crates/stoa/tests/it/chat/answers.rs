//! A visitor asks and reads the streamed, sourced answer.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::{Behaviour, FakeAi};

use crate::support::{
    Conversation, Server, StreamEvent, TestInstance, expect, model_at, read_stream, said, whole,
};

const RETURNS: &str =
    "# Returns\n\nUnworn items can be returned within 60 days of delivery for a full refund.";
const SHIPPING: &str =
    "# Shipping\n\nParcels to Norway take five to seven working days and cost 12 euros.";

#[tokio::test]
async fn the_stream_has_its_events_in_order_each_with_an_id() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    instance.add_text(&server, "Returns", RETURNS).await;
    let chat = Conversation::begin(&server, &instance).await;
    let response = chat
        .send("How many days do I have to return unworn items?")
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    assert_eq!(headers["x-vercel-ai-ui-message-stream"], "v1");
    assert_eq!(headers["x-accel-buffering"], "no");
    assert_eq!(headers["cache-control"], "no-cache, no-transform");

    let events = read_stream(response, |_| false).await;
    let mut kinds: Vec<_> = events.iter().map(StreamEvent::kind).collect();
    kinds.dedup();
    let expected = [
        "start",
        "source-document",
        "text-start",
        "text-delta",
        "text-end",
        "data-usage",
        "finish",
        "[DONE]",
    ];
    assert_eq!(kinds, expected);
    assert!(events.iter().all(|event| event.id.is_some()));
    assert_eq!(events[0].data["messageMetadata"]["sessionId"], chat.session);
    let source = &events[1].data;
    assert_eq!(source["sourceId"], "1");
    assert_eq!(source["providerMetadata"]["stoa"]["url"], Value::Null);
    let passage = source["providerMetadata"]["stoa"]["text"].as_str().unwrap();
    assert!(passage.contains("60 days"), "{passage}");
    let usage = &events[events.len() - 3].data["data"];
    assert_eq!(usage["finishReason"], "stop");
    assert!(usage["outputTokens"].as_i64().unwrap() > 0, "{usage}");
    assert!(!said(&events).is_empty());
}

#[tokio::test]
async fn without_a_model_the_best_passages_are_quoted_with_their_sources() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    instance.add_text(&server, "Returns", RETURNS).await;
    instance.add_text(&server, "Shipping", SHIPPING).await;
    let chat = Conversation::begin(&server, &instance).await;
    let answer = chat.answer("How long does a parcel to Norway take?").await;
    let text = answer["message"]["content"].as_str().unwrap();
    assert!(text.contains("five to seven working days"), "{text}");
    assert!(text.contains("[1]"), "{text}");
    assert!(text.contains("No AI model is configured"), "{text}");
    assert_eq!(answer["sources"][0]["title"], "Shipping");
    assert_eq!(answer["message"]["finish_reason"], "stop");
}

/// A failing model does not become "no model is configured", and a German is answered in German.
#[tokio::test]
async fn quotes_say_why_no_model_answered_in_the_visitors_language() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::active(&server, "Acme").await;
    instance
        .add_model(&server, model_at(&fake.base_url(), "fake"))
        .await;
    fake.set_behaviour(Behaviour::parse("error=401").unwrap());
    instance.add_text(&server, "Returns", RETURNS).await;
    let body = json!({ "instance_id": instance.id, "locale": "de-AT" });
    let begun = server.anonymous(Method::POST, "/api/chat/v1/sessions");
    let created: Value = begun
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let (session, token) = (
        &created["session"]["id"],
        created["token"].as_str().unwrap(),
    );
    let answer: Value = server
        .visitor(
            token,
            Method::POST,
            &format!("/sessions/{}/messages", session.as_str().unwrap()),
        )
        .header("accept", "application/json")
        .json(&json!({ "content": "How long can goods be returned?" }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let text = answer["message"]["content"].as_str().unwrap();
    assert!(
        text.starts_with("Das steht in unseren Dokumenten:"),
        "{text}"
    );
    assert!(
        text.ends_with("daher wird nur aus den Dokumenten zitiert."),
        "{text}"
    );
    assert!(
        text.contains("kann gerade keine Antwort schreiben"),
        "{text}"
    );
    assert!(fake.count() > 1, "the model was asked first");
}

#[tokio::test]
async fn sending_a_message_again_gives_the_same_answer_and_never_a_second_one() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let chat = Conversation::begin(&server, &instance).await;
    let asked_before = fake.count();
    let send = || {
        let body = json!({ "content": "Hello there", "client_message_id": "m-1" });
        let request = chat.request(Method::POST, &chat.messages_path());
        whole(request.json(&body))
    };
    let (first, second) = tokio::join!(send(), send());
    let third = send().await;
    assert_eq!(
        first["message"]["id"], second["message"]["id"],
        "{first} {second}"
    );
    assert_eq!(first["message"]["content"], third["message"]["content"]);
    assert_eq!(first["message"]["id"], third["message"]["id"]);
    assert_eq!(fake.count() - asked_before, 1, "the model was asked once");

    let history = chat.history().await;
    let roles: Vec<_> = history.iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant"]);
}

#[tokio::test]
async fn a_message_that_nobody_could_answer_is_answered_when_it_is_sent_again() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let (session, token) = instance.session(&server).await;
    let path = format!("/sessions/{session}/messages");
    let send = |name: &'static str| {
        let body = json!({ "content": "Hello there", "client_message_id": name });
        let request = server.visitor(&token, Method::POST, &path);
        let request = request.header("accept", "application/json").json(&body);
        async { request.send().await.unwrap() }
    };
    fake.set_behaviour(Behaviour::parse("error=422").unwrap());
    assert_eq!(send("m-1").await.status(), 502);
    assert_eq!(send("m-1").await.status(), 502, "nobody could still");
    fake.set_behaviour(Behaviour::default());
    let first: Value = send("m-1").await.json().await.unwrap();
    let second: Value = send("m-1").await.json().await.unwrap();
    assert_eq!(first["message"]["finish_reason"], "stop", "{first}");
    assert_eq!(first["message"]["id"], second["message"]["id"]);
    let list = server.visitor(&token, Method::GET, &path).send().await;
    let list: Value = list.unwrap().json().await.unwrap();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");

    // Once something else was said, it stays unanswered.
    fake.set_behaviour(Behaviour::parse("error=422").unwrap());
    assert_eq!(send("m-2").await.status(), 502);
    fake.set_behaviour(Behaviour::default());
    assert_eq!(send("m-3").await.status(), 200);
    assert_eq!(send("m-2").await.status(), 502);
}

#[tokio::test]
async fn the_conversation_so_far_is_given_to_the_model_and_the_key_is_the_clients() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let chat = Conversation::begin(&server, &instance).await;
    for question in ["My name is Ada.", "What is my name?"] {
        chat.answer(question).await;
    }
    let last = fake.requests().pop().unwrap();
    assert_eq!(
        last.authorization.as_deref(),
        Some("Bearer sk-test-0123456789abcdef")
    );
    let messages = last.body["messages"].as_array().unwrap().clone();
    let said: Vec<_> = messages
        .iter()
        .map(|m| m["content"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(said[1], "My name is Ada.");
    assert_eq!(said[3], "What is my name?");
}

#[tokio::test]
async fn documents_only_says_the_configured_sentence_when_nothing_is_found() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let sentence = "Please write to help@acme.example.";
    let only = json!({ "answer_policy": "documents_only", "no_answer_message": sentence });
    instance.instruct(&server, only).await;
    let asked_before = fake.count();
    let chat = Conversation::begin(&server, &instance).await;
    let answer = chat.answer("What is the capital of Peru?").await;
    assert_eq!(answer["message"]["content"], sentence);
    assert_eq!(answer["sources"], json!([]));
    assert_eq!(fake.count(), asked_before, "no model was asked");
}

#[tokio::test]
async fn an_answer_is_metered_once_on_the_platforms_side_without_content() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let chat = Conversation::begin(&server, &instance).await;
    chat.events("a-very-secret-question").await;
    // Written before `finish` was said, so it is there without waiting.
    let usage = instance.usage(&server).await;
    let total: i64 = usage["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["messages"].as_i64().unwrap())
        .sum();
    assert_eq!(total, 1, "{usage}");
}

#[tokio::test]
async fn hidden_sources_are_hidden_in_the_stream_in_its_replay_and_in_the_history() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    instance.add_text(&server, "Returns", RETURNS).await;
    let hide = server
        .client(&instance.key, Method::PUT, "/live-configuration")
        .json(&json!({ "display": { "show_sources": false } }));
    expect(hide, StatusCode::OK).await;
    let chat = Conversation::begin(&server, &instance).await;
    let live = chat
        .events("How many days do I have to return items?")
        .await;
    let message = live[0].data["messageId"].as_str().unwrap();
    let replay = chat.replay(message).await;
    let ids = |events: &[StreamEvent]| -> Vec<_> {
        let heads = events.iter().filter(|event| event.kind() != "text-delta");
        heads.map(|event| event.id.clone()).collect()
    };
    assert_eq!(
        ids(&live),
        ids(&replay),
        "the ids of a stream and of its replay are the same"
    );
    for events in [&live, &replay] {
        assert!(events.iter().all(|event| event.kind() != "source-document"));
    }
    assert_eq!(chat.history().await[1]["sources"], json!([]));
    let own = chat.history_of(&instance).await;
    assert_eq!(own[1]["sources"][0]["title"], "Returns", "{own:?}");
}

#[tokio::test]
async fn a_model_that_is_slow_to_its_first_word_is_not_taken_for_dead() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    // Longer than an answer without a sign of life is left alone, so a sweep comes by meanwhile.
    let slow = "delay=26000";
    let instance = TestInstance::misbehaving(&server, "Acme", &fake.base_url(), slow).await;
    let chat = Conversation::begin(&server, &instance).await;
    let mut asked = std::pin::pin!(chat.answer("hello"));
    let answer = loop {
        tokio::select! {
            answer = &mut asked => break answer,
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {
                server.sweep_now(&instance.id).await;
            }
        }
    };
    assert_eq!(answer["message"]["finish_reason"], "stop", "{answer}");
    assert!(
        !answer["message"]["content"].as_str().unwrap().is_empty(),
        "{answer}"
    );
}
