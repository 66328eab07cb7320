//! Answers that say what they are drawn from, and those that say that there is none.

use reqwest::Method;
use serde_json::json;
use stoa_fake_ai::FakeAi;

use crate::support::{
    Conversation, Server, StreamEvent, TestInstance, model_at, problem, read_stream, whole,
};

const RETURNS: &str = "You may return items within 60 days of delivery if they are unused.";
const SHIPPING: &str = "Parcels to Norway take five to seven working days to arrive.";
const SENTENCE: &str = "Please write to help@acme.example.";

/// An instance whose model says this, in pieces where it is cut by spaces.
async fn saying(server: &Server, fake: &FakeAi, text: &str) -> TestInstance {
    let behaviour = format!("text={text}");
    TestInstance::misbehaving(server, "Acme", &fake.base_url(), &behaviour).await
}

#[tokio::test]
async fn the_sources_of_an_answer_are_those_that_it_cites_by_their_numbers() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    // The mark comes in two pieces, and one names no source.
    let instance = saying(&server, &fake, "Five days [ 2], never ten [7].").await;
    instance.add_text(&server, "Returns", RETURNS).await;
    instance.add_text(&server, "Shipping", SHIPPING).await;
    let chat = Conversation::begin(&server, &instance).await;
    let question = "How many days until parcels to Norway arrive or items return?";
    let events = chat.events(question).await;
    let offered: Vec<_> = events
        .iter()
        .filter(|event| event.kind() == "source-document")
        .map(|event| event.data["sourceId"].clone())
        .collect();
    assert_eq!(offered, ["1", "2"], "every one is offered before the text");

    let answer = &chat.history().await[1];
    assert_eq!(answer["content"], "Five days [ 2], never ten [7].");
    let sources = answer["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 1, "{answer}");
    assert_eq!(sources[0]["source_id"], "2", "{answer}");
    assert_eq!(answer["unanswered"], false);

    // A replay is the same stream, with the ids that the first one had.
    let message = answer["id"].as_str().unwrap();
    let replay = chat.replay(message).await;
    let heads = |events: &[StreamEvent]| -> Vec<_> {
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
    let instance = saying(&server, &fake, "Five days.").await;
    instance.add_text(&server, "Returns", RETURNS).await;
    instance.add_text(&server, "Shipping", SHIPPING).await;
    let chat = Conversation::begin(&server, &instance).await;
    let answer = chat
        .answer("How many days until parcels to Norway arrive or items return?")
        .await;
    assert_eq!(answer["sources"].as_array().unwrap().len(), 2, "{answer}");
}

#[tokio::test]
async fn an_answer_that_found_nothing_is_marked_whoever_said_so() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    // The model finds no answer in the passages, and says the sentence.
    let instance = saying(&server, &fake, &format!("“{SENTENCE}” [1]")).await;
    let only = json!({ "answer_policy": "documents_only", "no_answer_message": SENTENCE });
    instance.instruct(&server, only.clone()).await;
    instance.add_text(&server, "Returns", RETURNS).await;
    let chat = Conversation::begin(&server, &instance).await;
    let asked = fake.count();
    let by_model = chat.answer("Are items unused by astronauts?").await;
    assert_eq!(by_model["message"]["unanswered"], true, "{by_model}");
    assert_eq!(by_model["sources"], json!([]), "{by_model}");
    assert_eq!(fake.count(), asked + 1);
    // The search finds nothing, and no model is asked.
    let chat = Conversation::begin(&server, &instance).await;
    let by_search = chat.answer("Quantum chromodynamics?").await;
    assert_eq!(by_search["message"]["content"], SENTENCE, "{by_search}");
    assert_eq!(by_search["message"]["unanswered"], true, "{by_search}");
    assert_eq!(fake.count(), asked + 1);

    let quoting = TestInstance::active(&server, "Quotes").await;
    quoting.instruct(&server, only).await;
    quoting.add_text(&server, "Returns", RETURNS).await;
    let chat = Conversation::begin(&server, &quoting).await;
    let found = chat.answer("How do I return unused items?").await;
    assert_eq!(found["message"]["unanswered"], false, "{found}");
    let chat = Conversation::begin(&server, &quoting).await;
    let by_quoting = chat.answer("Quantum chromodynamics?").await;
    assert_eq!(by_quoting["message"]["unanswered"], true, "{by_quoting}");
}

#[tokio::test]
async fn a_greeting_needs_no_passages_and_is_not_unanswered() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let only = json!({ "answer_policy": "documents_only", "no_answer_message": SENTENCE });
    instance.instruct(&server, only.clone()).await;
    instance
        .add_text(
            &server,
            "Hello",
            "Hello is what our staff say. Merci is French.",
        )
        .await;
    let chat = Conversation::begin(&server, &instance).await;
    for talk in [
        "Hello!",
        "Merci beaucoup",
        "Vielen Dank",
        "مرحبا",
        "ありがとうございます",
    ] {
        let answer = chat.answer(talk).await;
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
    quoting.instruct(&server, only).await;
    let visitor = json!({ "locale": "de-AT" });
    let chat = Conversation::begin_with(&server, &quoting, visitor).await;
    let answer = chat.answer("Hallo").await;
    assert_eq!(
        answer["message"]["content"],
        "Hallo! Wie kann ich Ihnen helfen?"
    );
    assert_eq!(answer["message"]["unanswered"], false);
}

#[tokio::test]
async fn an_answer_that_broke_off_is_made_again_and_kept_as_an_earlier_version() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let model = model_at(&fake.base_url(), "fake");
    let model = instance.add_model(&server, model).await;
    let breaking = json!({ "model": "fake:tokens=50,drop_after=4" });
    instance.change_model(&server, &model, breaking).await;
    let chat = Conversation::begin(&server, &instance).await;
    let events = chat.events("How long is the warranty?").await;
    let broken = events[0].data["messageId"].as_str().unwrap().to_owned();

    // The provider is well again.
    let mended = json!({ "model": "fake" });
    instance.change_model(&server, &model, mended).await;
    let path = format!("/messages/{broken}/regenerate");
    let again = || whole(chat.request(Method::POST, &path));
    let (first, second) = tokio::join!(again(), again());
    assert_eq!(
        first["message"]["id"], second["message"]["id"],
        "one new answer"
    );
    assert_ne!(first["message"]["id"], broken);
    assert_eq!(first["message"]["finish_reason"], "stop", "{first}");
    let text = first["message"]["content"].as_str().unwrap();
    assert!(text.contains("How long is the warranty?"), "{text}");

    let shown = chat.history().await;
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[1]["id"], first["message"]["id"]);
    let all = chat.history_of(&instance).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(all[1]["finish_reason"], "interrupted");
    assert_eq!(all[1]["superseded_by"], first["message"]["id"]);

    chat.answer("And for the poles?").await;
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
    // Asked for again too late, it is the version that there is.
    again().await;
    let newer = first["message"]["id"].as_str().unwrap();
    let path = format!("/messages/{newer}/regenerate");
    let refused = chat.request(Method::POST, &path).send().await.unwrap();
    problem(refused, 409, "not_the_last_answer").await;
}

#[tokio::test]
async fn a_new_version_streams_as_a_message_does() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let chat = Conversation::begin(&server, &instance).await;
    let answer = chat.answer("How long is the warranty?").await;
    let id = answer["message"]["id"].as_str().unwrap();
    let path = format!("/messages/{id}/regenerate");
    let response = chat.request(Method::POST, &path).send().await.unwrap();
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
