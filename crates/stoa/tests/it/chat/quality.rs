//! Answers that say what they are drawn from, and those that say that there is none.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::support::{Server, TestInstance, read_stream};

const RETURNS: &str = "You may return items within 60 days of delivery if they are unused.";
const SHIPPING: &str = "Parcels to Norway take five to seven working days to arrive.";
const SENTENCE: &str = "Please write to help@acme.example.";

/// Sends a message and waits for the whole answer.
async fn ask(server: &Server, session: &(String, String), content: &str) -> Value {
    let response = server
        .visitor(
            &session.1,
            Method::POST,
            &format!("/sessions/{}/messages", session.0),
        )
        .header("accept", "application/json")
        .json(&json!({ "content": content }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

async fn instruct(server: &Server, instance: &TestInstance, instructions: Value) -> Value {
    let response = server
        .client(&instance.key, Method::PUT, "/rag-instructions")
        .json(&instructions)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

/// Makes the instance's model say this, in the given pieces where they are cut by spaces.
async fn say(server: &Server, fake: &FakeAi, name: &str, behaviour: &str) -> TestInstance {
    let instance = TestInstance::create(server, name).await;
    let mut model = crate::support::model_at(&fake.base_url(), "fake");
    let id = instance.add_model(server, model.clone()).await;
    model = json!({ "model": format!("fake:{behaviour}") });
    let path = format!("/api-configurations/{id}");
    let changed = server.client(&instance.key, Method::PATCH, &path);
    let changed = changed.json(&model).send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    instance
}

#[tokio::test]
async fn the_sources_of_an_answer_are_those_that_it_cites_by_their_numbers() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    // The mark comes in two pieces, and one names no source.
    let instance = say(
        &server,
        &fake,
        "Acme",
        "text=Five days [ 2], never ten [7].",
    )
    .await;
    instance.add_text(&server, "Returns", RETURNS).await;
    instance.add_text(&server, "Shipping", SHIPPING).await;
    let session = instance.session(&server).await;
    let path = format!("/sessions/{}/messages", session.0);
    let response = server
        .visitor(&session.1, Method::POST, &path)
        .json(
            &json!({ "content": "How many days until parcels to Norway arrive or items return?" }),
        )
        .send()
        .await
        .unwrap();
    let events = read_stream(response, |_| false).await;
    let offered: Vec<_> = events
        .iter()
        .filter(|event| event.kind() == "source-document")
        .map(|event| event.data["sourceId"].clone())
        .collect();
    assert_eq!(offered, ["1", "2"], "every one is offered before the text");

    let history = server.visitor(&session.1, Method::GET, &path).send().await;
    let history: Value = history.unwrap().json().await.unwrap();
    let answer = &history["data"][1];
    assert_eq!(answer["content"], "Five days [ 2], never ten [7].");
    let sources = answer["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 1, "{answer}");
    assert_eq!(sources[0]["source_id"], "2", "{answer}");
    assert_eq!(answer["unanswered"], false);

    // A replay is the same stream, with the ids that the first one had.
    let message = answer["id"].as_str().unwrap();
    let replay = server
        .visitor(
            &session.1,
            Method::GET,
            &format!("/messages/{message}/stream"),
        )
        .send()
        .await
        .unwrap();
    let replay = read_stream(replay, |_| false).await;
    let heads = |events: &[crate::support::StreamEvent]| -> Vec<_> {
        let heads = events.iter().filter(|event| event.kind() != "text-delta");
        heads
            .map(|event| (event.id.clone(), event.kind().to_owned()))
            .collect()
    };
    assert_eq!(heads(&events), heads(&replay));
}

#[tokio::test]
async fn an_answer_that_cites_nothing_shows_all_that_it_was_given() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = say(&server, &fake, "Acme", "text=Five days.").await;
    instance.add_text(&server, "Returns", RETURNS).await;
    instance.add_text(&server, "Shipping", SHIPPING).await;
    let session = instance.session(&server).await;
    let answer = ask(
        &server,
        &session,
        "How many days until parcels to Norway arrive or items return?",
    )
    .await;
    assert_eq!(answer["sources"].as_array().unwrap().len(), 2, "{answer}");
}

#[tokio::test]
async fn an_answer_that_found_nothing_is_marked_whoever_said_so() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    // The model finds no answer in the passages, and says the sentence.
    let instance = say(&server, &fake, "Acme", &format!("text=“{SENTENCE}” [1]")).await;
    let only = json!({ "answer_policy": "documents_only", "no_answer_message": SENTENCE });
    instruct(&server, &instance, only.clone()).await;
    instance.add_text(&server, "Returns", RETURNS).await;
    let session = instance.session(&server).await;
    let asked = fake.count();
    let by_model = ask(&server, &session, "Are items unused by astronauts?").await;
    assert_eq!(by_model["message"]["unanswered"], true, "{by_model}");
    assert_eq!(by_model["sources"], json!([]), "{by_model}");
    assert_eq!(fake.count(), asked + 1);
    // The search finds nothing, and no model is asked.
    let session = instance.session(&server).await;
    let by_search = ask(&server, &session, "Quantum chromodynamics?").await;
    assert_eq!(by_search["message"]["content"], SENTENCE, "{by_search}");
    assert_eq!(by_search["message"]["unanswered"], true, "{by_search}");
    assert_eq!(fake.count(), asked + 1);

    let quoting = TestInstance::active(&server, "Quotes").await;
    instruct(&server, &quoting, only).await;
    quoting.add_text(&server, "Returns", RETURNS).await;
    let session = quoting.session(&server).await;
    let found = ask(&server, &session, "How do I return unused items?").await;
    assert_eq!(found["message"]["unanswered"], false, "{found}");
    let session = quoting.session(&server).await;
    let by_quoting = ask(&server, &session, "Quantum chromodynamics?").await;
    assert_eq!(by_quoting["message"]["unanswered"], true, "{by_quoting}");
}

#[tokio::test]
async fn a_greeting_needs_no_passages_and_is_not_unanswered() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let only = json!({ "answer_policy": "documents_only", "no_answer_message": SENTENCE });
    instruct(&server, &instance, only.clone()).await;
    instance
        .add_text(
            &server,
            "Hello",
            "Hello is what our staff say. Merci is French.",
        )
        .await;
    let session = instance.session(&server).await;
    for talk in [
        "Hello!",
        "Merci beaucoup",
        "Vielen Dank",
        "مرحبا",
        "ありがとうございます",
    ] {
        let answer = ask(&server, &session, talk).await;
        assert!(
            answer["message"]["content"]
                .as_str()
                .unwrap()
                .contains(talk),
            "{answer}"
        );
        assert_eq!(answer["message"]["unanswered"], false, "{answer}");
        assert_eq!(answer["sources"], json!([]), "{answer}");
        let prompt = fake.requests().pop().unwrap().body["messages"][0]["content"].clone();
        let prompt = prompt.as_str().unwrap();
        assert!(
            !prompt.contains("<passages>") && prompt.contains("State no facts"),
            "{prompt}"
        );
    }

    // Without a model the bot has words of its own, in the visitor's language.
    let quoting = TestInstance::active(&server, "Quotes").await;
    instruct(&server, &quoting, only).await;
    let begun = server
        .anonymous(Method::POST, "/api/chat/v1/sessions")
        .json(&json!({ "instance_id": quoting.id, "locale": "de-AT" }))
        .send()
        .await
        .unwrap();
    let begun: Value = begun.json().await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let session = (text(&begun["session"]["id"]), text(&begun["token"]));
    let answer = ask(&server, &session, "Hallo").await;
    assert_eq!(
        answer["message"]["content"],
        "Hallo! Wie kann ich Ihnen helfen?"
    );
    assert_eq!(answer["message"]["unanswered"], false);
}

#[tokio::test]
async fn an_answer_that_broke_off_is_made_again_and_kept_as_an_earlier_version() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = say(&server, &fake, "Acme", "tokens=50,drop_after=4").await;
    let session = instance.session(&server).await;
    let path = format!("/sessions/{}/messages", session.0);
    let response = server
        .visitor(&session.1, Method::POST, &path)
        .json(&json!({ "content": "How long is the warranty?" }))
        .send()
        .await
        .unwrap();
    let events = read_stream(response, |_| false).await;
    let broken = events[0].data["messageId"].as_str().unwrap().to_owned();

    // The provider is well again.
    let models = server.client(&instance.key, Method::GET, "/api-configurations");
    let models: Value = models.send().await.unwrap().json().await.unwrap();
    let path_of_model = format!(
        "/api-configurations/{}",
        models["data"][0]["id"].as_str().unwrap()
    );
    let mended = server
        .client(&instance.key, Method::PATCH, &path_of_model)
        .json(&json!({ "model": "fake" }))
        .send()
        .await
        .unwrap();
    assert_eq!(mended.status(), StatusCode::OK);
    let again = || {
        let path = format!("/messages/{broken}/regenerate");
        server
            .visitor(&session.1, Method::POST, &path)
            .header("accept", "application/json")
            .send()
    };
    let (first, second) = tokio::join!(again(), again());
    let first: Value = first.unwrap().json().await.unwrap();
    let second: Value = second.unwrap().json().await.unwrap();
    assert_eq!(
        first["message"]["id"], second["message"]["id"],
        "one new answer"
    );
    assert_ne!(first["message"]["id"], broken);
    assert_eq!(first["message"]["finish_reason"], "stop", "{first}");
    let text = first["message"]["content"].as_str().unwrap();
    assert!(text.contains("How long is the warranty?"), "{text}");

    let shown = server.visitor(&session.1, Method::GET, &path).send().await;
    let shown: Value = shown.unwrap().json().await.unwrap();
    assert_eq!(shown["data"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown["data"][1]["id"], first["message"]["id"]);
    let all = server
        .client(&instance.key, Method::GET, &path)
        .send()
        .await;
    let all: Value = all.unwrap().json().await.unwrap();
    assert_eq!(all["data"].as_array().unwrap().len(), 3, "{all}");
    assert_eq!(all["data"][1]["finish_reason"], "interrupted");
    assert_eq!(all["data"][1]["superseded_by"], first["message"]["id"]);

    ask(&server, &session, "And for the poles?").await;
    let last = fake.requests().pop().unwrap();
    let said: Vec<_> = last.body["messages"].as_array().unwrap()[1..]
        .iter()
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(
        said,
        [
            json!("How long is the warranty?"),
            json!(text),
            json!("And for the poles?")
        ]
    );
    let too_late = again().await.unwrap();
    assert_eq!(
        too_late.status(),
        StatusCode::OK,
        "the version that there is"
    );
    let newer = first["message"]["id"].as_str().unwrap();
    let refused = server
        .visitor(
            &session.1,
            Method::POST,
            &format!("/messages/{newer}/regenerate"),
        )
        .send()
        .await
        .unwrap();
    crate::support::problem(refused, 409, "not_the_last_answer").await;
}

#[tokio::test]
async fn a_new_version_streams_as_a_message_does() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let session = instance.session(&server).await;
    let answer = ask(&server, &session, "How long is the warranty?").await;
    let id = answer["message"]["id"].as_str().unwrap();
    let response = server
        .visitor(
            &session.1,
            Method::POST,
            &format!("/messages/{id}/regenerate"),
        )
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-vercel-ai-ui-message-stream"], "v1");
    let events = read_stream(response, |_| false).await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds[..2], ["start", "text-start"]);
    assert_eq!(
        kinds[kinds.len() - 4..],
        ["text-end", "data-usage", "finish", "[DONE]"]
    );
    assert_ne!(events[0].data["messageId"], id);
}
