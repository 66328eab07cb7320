//! What the program logs holds no secret and nothing that people say, even when it logs a lot.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::support::{Conversation, Serving, TestInstance, model_at, on_managed_cluster};

#[tokio::test]
async fn secrets_and_conversations_are_not_logged() {
    let fake = FakeAi::start().await.unwrap();
    let program = on_managed_cluster()
        .await
        .with("RUST_LOG", "debug,sqlx=info");
    let (serving, program) = Serving::start(program, &["serve"]);
    let server = serving.caller(&program);

    let instance = TestInstance::create(&server, "Acme").await;
    let model = model_at(&fake.base_url(), "fake");
    let model = instance.add_model(&server, model).await;
    instance
        .add_text(&server, "Pangolins", "The quokka sleeps at noon.")
        .await;
    let chat = Conversation::begin(&server, &instance).await;
    chat.events("Where is the narwhal?").await;
    // A failure is logged in more words than a success.
    let broken = json!({ "model": "fake:error=401" });
    instance.change_model(&server, &model, broken).await;
    let refused = chat.send("Where is the narwhal?").await;
    assert_eq!(refused.status(), StatusCode::BAD_GATEWAY);
    // A tool, with a secret that its server knows and an argument that a visitor may have given.
    let tool = json!({
        "name": "find_order", "description": "Finds an order.", "method": "GET",
        "url": format!("{}/orders/{{order_id}}", fake.base_url()),
        "headers": { "Authorization": "Bearer tool-secret-0123456789" },
        "parameters": { "properties": { "order_id": { "type": "string" } } },
    });
    let tool = server
        .client(&instance.key, Method::POST, "/tools")
        .json(&tool)
        .send()
        .await
        .unwrap();
    let tool: Value = tool.json().await.unwrap();
    let path = format!("/tools/{}/test", tool["id"].as_str().unwrap());
    let tried = server
        .client(&instance.key, Method::POST, &path)
        .json(&json!({ "arguments": { "order_id": "wombat" } }))
        .send()
        .await
        .unwrap();
    let tried: Value = tried.json().await.unwrap();
    assert_eq!(tried["outcome"]["error"], "http_status", "{tried}");
    let wrong = server
        .client(&instance.key, Method::POST, "/database/check")
        .json(&json!({ "url": "postgres://ada:hunter2secret@127.0.0.1:1/acme" }))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::OK);
    let database = instance.created["env"]["CLIENT_DATABASE_URL"]
        .as_str()
        .unwrap();
    let password = database
        .split(':')
        .nth(2)
        .and_then(|rest| rest.split('@').next())
        .unwrap()
        .to_owned();
    let setup = instance.created["admin"]["setup_url"].as_str().unwrap();
    let link = setup.split("token=").nth(1).unwrap().to_owned();

    let (_, log, _) = serving.end_by(rustix::process::Signal::TERM);
    assert!(log.contains("\"level\":\"DEBUG\""), "much was logged");
    let secrets = [
        "sk-test-0123456789abcdef",
        "hunter2secret",
        "tool-secret-0123456789",
        "wombat",
        "narwhal",
        "quokka",
        password.as_str(),
        link.as_str(),
        server.platform_token(),
        instance.key.as_str(),
        chat.token.as_str(),
    ];
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret was logged");
    }
}
