//! The console's pages of AI models, as whoever runs a client's bot fills them in.

use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::{Behaviour, FakeAi};

use super::{Desk, signed_in_client};
use crate::support::{Page, TestInstance};

const PATH: &str = "/console/acme/models";
const KEY: &str = "sk-model-0123456789abcdef";

/// A console with the list of models open, and a provider for them.
struct Models {
    desk: Desk,
    fake: FakeAi,
}

impl Models {
    async fn new() -> Self {
        let mut desk = Desk::new(PATH).await;
        let page = desk.open(PATH).await;
        assert!(page.html.contains("Nobody answers yet"), "{}", page.html);
        let fake = FakeAi::start().await.unwrap();
        Self { desk, fake }
    }

    /// Sends the form of a configuration at the provider, with some fields different.
    async fn fill_in(&mut self, path: &str, different: &[(&str, &str)]) -> Page {
        let base_url = self.fake.base_url();
        let fields = filled_in(&base_url, different);
        self.desk.send(path, &fields).await
    }

    /// The same with the box unticked, which a browser then does not send.
    async fn fill_in_off(&mut self, path: &str, different: &[(&str, &str)]) -> Page {
        let base_url = self.fake.base_url();
        let mut fields = filled_in(&base_url, different);
        fields.retain(|(name, _)| *name != "enabled");
        self.desk.send(path, &fields).await
    }

    /// Adds a configuration by the form, and gives its page's path.
    async fn add(&mut self, different: &[(&str, &str)]) -> String {
        let base_url = self.fake.base_url();
        let fields = filled_in(&base_url, different);
        self.desk.add(&format!("{PATH}/new"), &fields).await
    }

    /// The configurations as the client API lists them.
    async fn stored(&self) -> Vec<Value> {
        let listed = self.desk.stored("/api-configurations").await;
        listed["data"].as_array().expect("a list").clone()
    }
}

/// The fields of a configuration at this address, with some of them different.
fn filled_in<'a>(base_url: &'a str, different: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("name", "First choice"),
        ("provider", "openai_compatible"),
        ("model", "fake"),
        ("api_key", ""),
        ("base_url", base_url),
        ("priority", "0"),
        ("enabled", "on"),
        ("max_output_tokens", ""),
        ("temperature", ""),
        ("embedding_model", ""),
        ("input_price", ""),
        ("output_price", ""),
    ];
    let is_usual = |name: &str| !different.iter().any(|(other, _)| *other == name);
    let usual = usual.into_iter().filter(|(name, _)| is_usual(name));
    usual.chain(different.iter().copied()).collect()
}

#[tokio::test]
async fn a_model_is_added_tested_changed_and_removed() {
    let mut models = Models::new().await;
    let blank = models.desk.open(&format!("{PATH}/new")).await;
    assert!(
        blank
            .html
            .contains(r#"<option value="gpt-4o-mini">OpenAI</option>"#),
        "models are proposed: {}",
        blank.html
    );
    let path = models.add(&[("api_key", KEY)]).await;
    let page = models.desk.open(&format!("{path}?done=added")).await;
    for shown in [
        "Added.",
        "ends …cdef",
        "Not tested",
        "Last test as it is now: not tested",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    assert!(!page.html.contains("sk-model"), "{}", page.html);

    let tested = models.desk.send(&format!("{path}/test"), &[]).await;
    assert_eq!(tested.status, 200);
    assert!(tested.html.contains("fake answered in"), "{}", tested.html);
    let active = models.desk.open("/console/acme").await;
    assert!(
        active.html.contains("Active"),
        "the first that works opens the chat"
    );

    // Whatever else is changed, a key whose field is left empty stays.
    let changed = [
        ("name", "Cheap & good"),
        ("temperature", "0.2"),
        ("max_output_tokens", "800"),
        ("input_price", "0.15"),
        ("output_price", "0.6"),
    ];
    let saved = models.fill_in(&path, &changed).await;
    assert_eq!(
        (saved.status, saved.location),
        (303, format!("{path}?done=saved"))
    );
    let stored = models.stored().await;
    let settings = |name: &str| stored[0][name].clone();
    assert_eq!(settings("key_hint"), "cdef");
    assert_eq!(
        (settings("temperature"), settings("max_output_tokens")),
        (json!(0.2), json!(800))
    );
    assert_eq!(
        (settings("input_price"), settings("output_price")),
        (json!(0.15), json!(0.6))
    );
    let list = models.desk.open(PATH).await;
    for shown in [
        "Cheap &#38; good",
        "0.15",
        "0.60",
        "Your configuration",
        "worked, ",
    ] {
        assert!(list.html.contains(shown), "{shown}: {}", list.html);
    }

    let forgotten = [("forget_key", "on")];
    assert_eq!(models.fill_in(&path, &forgotten).await.status, 303);
    assert_eq!(models.stored().await[0]["key_hint"], Value::Null);

    let removal = format!("{path}/remove");
    assert!(
        models
            .desk
            .open(&removal)
            .await
            .html
            .contains("Remove First choice?")
    );
    assert_eq!(
        models
            .desk
            .send(&removal, &[("name", "first")])
            .await
            .status,
        422
    );
    assert_eq!(models.stored().await.len(), 1, "nothing was removed");
    let removed = models
        .desk
        .send(&removal, &[("name", "First choice")])
        .await;
    assert_eq!(
        (removed.status, removed.location),
        (303, format!("{PATH}?done=removed"))
    );
    assert!(models.stored().await.is_empty());
    assert_eq!(models.desk.open(&path).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_a_key_does_not_come_back() {
    let mut models = Models::new().await;
    let wrong = [
        ("name", " "),
        ("api_key", KEY),
        ("temperature", "warm"),
        ("priority", "first"),
        ("input_price", "0,15"),
        ("model", "typed <b>"),
    ];
    let refused = models.fill_in(&format!("{PATH}/new"), &wrong).await;
    assert_eq!(refused.status, 422);
    for field in ["temperature", "priority", "input_price"] {
        let said = format!(r#"id="{field}-error""#);
        assert!(refused.html.contains(&said), "{field}: {}", refused.html);
    }
    for shown in [
        r#"value="typed &#60;b&#62;""#,
        r#"value="0,15""#,
        "type it again",
    ] {
        assert!(refused.html.contains(shown), "{shown}: {}", refused.html);
    }
    assert!(!refused.html.contains("sk-model"), "{}", refused.html);

    let keyless = [("provider", "openai"), ("base_url", ""), ("model", "")];
    let refused = models.fill_in(&format!("{PATH}/new"), &keyless).await;
    for said in ["this provider needs a key", "name of the model"] {
        assert!(refused.html.contains(said), "{said}: {}", refused.html);
    }
    assert!(models.stored().await.is_empty());

    let path = models.add(&[("api_key", KEY)]).await;
    let elsewhere = [("base_url", "https://elsewhere.example/v1")];
    let refused = models.fill_in(&path, &elsewhere).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.html.contains(r#"id="api_key-error""#),
        "{}",
        refused.html
    );
    assert_eq!(
        models.stored().await[0]["base_url"],
        Value::from(models.fake.base_url())
    );
    let unknown = models
        .desk
        .send(&path, &[("name", "x"), ("surprise", "y")])
        .await;
    assert_eq!(unknown.status, 422);
}

#[tokio::test]
async fn the_list_shows_the_order_what_is_known_and_what_is_not_asked() {
    let mut models = Models::new().await;
    let quotes = [
        ("name", "Quotes"),
        ("provider", "passages"),
        ("model", ""),
        ("base_url", ""),
    ];
    let quotes = models.add(&quotes).await;
    models.desk.send(&format!("{quotes}/test"), &[]).await;
    models.add(&[("name", "Second"), ("priority", "1")]).await;
    let first = models.add(&[("name", "First"), ("api_key", KEY)]).await;
    models.add(&[("name", "Unused"), ("priority", "2")]).await;
    let stored = models.stored().await;
    let unused = stored.last().unwrap()["id"].as_str().unwrap().to_owned();
    let fields = [("name", "Unused"), ("priority", "2")];
    let off = models
        .fill_in_off(&format!("{PATH}/{unused}"), &fields)
        .await;
    assert_eq!(off.status, 303, "{}", off.html);

    models
        .fake
        .set_behaviour(Behaviour::parse("error=401").unwrap());
    let tested = models.desk.send(&format!("{first}/test"), &[]).await;
    assert!(
        tested.html.contains("Failed") && tested.html.contains("bad_key"),
        "{}",
        tested.html
    );

    let list = models.desk.open(PATH).await;
    let place = |name: &str| list.html.find(&format!(">{name}</a>")).expect(name);
    assert!(place("First") < place("Quotes") && place("Quotes") < place("Second"));
    for shown in [
        "Test failed",
        "failed (bad_key)",
        "unknown",
        ">Off<",
        "Price table",
    ] {
        assert!(list.html.contains(shown), "{shown}: {}", list.html);
    }
    let blank = models.desk.open(&format!("{PATH}/new")).await;
    assert!(
        blank.html.contains(r#"name="priority" value="3""#),
        "what is added comes last: {}",
        blank.html
    );

    // What asks to be left alone is left alone, and the list says so.
    let limited = Behaviour::parse("error=429,retry_after=60").unwrap();
    models.fake.set_behaviour(limited);
    let (session, token) = models.desk.client.session(&models.desk.server).await;
    let asked = models
        .desk
        .server
        .visitor(
            &token,
            Method::POST,
            &format!("/sessions/{session}/messages"),
        )
        .header("accept", "application/json")
        .json(&json!({ "content": "Where is my parcel?" }));
    assert!(asked.send().await.unwrap().status().is_success());
    let list = models.desk.open(PATH).await;
    assert!(
        list.html.contains("Not asked for now (rate_limited)"),
        "{}",
        list.html
    );
}

#[tokio::test]
async fn a_provider_is_asked_for_its_models_and_may_say_none() {
    let mut models = Models::new().await;
    let path = models.add(&[("api_key", KEY)]).await;
    let listed = models.desk.send(&format!("{path}/list"), &[]).await;
    assert_eq!(listed.status, 200);
    assert!(
        listed.html.contains("The provider lists"),
        "{}",
        listed.html
    );
    assert!(
        listed.html.contains(r#"<option value="fake-chat">"#),
        "{}",
        listed.html
    );
    // Nobody listens there.
    let away = [("base_url", "http://127.0.0.1:1/v1"), ("api_key", KEY)];
    assert_eq!(models.fill_in(&path, &away).await.status, 303);
    let refused = models.desk.send(&format!("{path}/list"), &[]).await;
    assert_eq!(refused.status, 200);
    assert!(
        refused
            .html
            .contains("did not list its models: (unreachable)"),
        "{}",
        refused.html
    );
    assert!(!refused.html.contains("sk-model"), "{}", refused.html);
}

#[tokio::test]
async fn agents_look_and_another_clients_model_looks_like_none() {
    let mut models = Models::new().await;
    let path = models.add(&[("api_key", KEY)]).await;
    let before = models.stored().await;
    let theirs = TestInstance::create(&models.desk.server, "Theirs").await;
    let mut browser = signed_in_client(&models.desk.server, &theirs).await;
    let home = "/console/theirs/models";
    let token = browser
        .open(&models.desk.server, home)
        .await
        .field("form_token");
    let id = path.rsplit('/').next().unwrap();
    for rest in ["", "/remove"] {
        let page = browser
            .open(&models.desk.server, &format!("{home}/{id}{rest}"))
            .await;
        assert_eq!(page.status, 404, "{rest}");
    }
    for (rest, fields) in [
        ("/test", vec![]),
        ("/list", vec![]),
        ("/remove", vec![("name", "First choice")]),
    ] {
        let mut fields: Vec<(&str, &str)> = fields;
        fields.push(("form_token", &token));
        let to = format!("{home}/{id}{rest}");
        assert_eq!(
            browser
                .submit(&models.desk.server, &to, &fields)
                .await
                .status,
            404,
            "{to}"
        );
    }

    models.desk.demote().await;
    let list = models.desk.open(PATH).await;
    assert!(list.html.contains("First choice") && !list.html.contains("/models/new"));
    let page = models.desk.open(&path).await;
    assert!(page.html.contains("you may look") && page.html.contains(" disabled>"));
    assert!(!page.html.contains("Test it now") && !page.html.contains("/remove"));
    for rest in ["", "/test", "/list", "/remove"] {
        let refused = models.fill_in(&format!("{path}{rest}"), &[]).await;
        assert_eq!(refused.status, 403, "{rest}: {}", refused.html);
    }
    assert_eq!(models.desk.open(&format!("{PATH}/new")).await.status, 403);
    assert_eq!(models.stored().await, before);
}
