//! From nothing to a client's streamed answer in five steps, against a database of the client's own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;
use stoa_platform_db::testing::create_empty;

use crate::support::{Conversation, Server, TestInstance, model_at};
use secrecy::ExposeSecret as _;

async fn instance_status(server: &Server, key: &str) -> Value {
    let response = server
        .client(key, Method::GET, "/instance")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[tokio::test]
async fn the_five_steps_lead_to_an_active_chat_on_the_clients_own_database() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());

    // 1. The super admin creates an instance; 2. its configuration is generated; 3. the client
    // receives its credentials.
    let created = server
        .platform(Method::POST, "/instances")
        .json(&json!({
            "name": "Acme Support",
            "admin_email": "ada@acme.example",
            "database": { "mode": "external" },
        }))
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    let created: Value = created.json().await.unwrap();
    assert_eq!(created["instance"]["status"], "awaiting_setup");
    assert_eq!(created["instance"]["slug"], "acme-support");
    assert_eq!(created["instance"]["database"]["state"], "unset");
    assert_eq!(created["env"]["CLIENT_ID"], created["instance"]["id"]);
    assert_eq!(created["env"]["CLIENT_DATABASE_URL"], "");
    assert_eq!(created["admin"]["email"], "ada@acme.example");
    let setup_url = created["admin"]["setup_url"].as_str().unwrap();
    assert!(
        setup_url.starts_with(&format!("{}/setup?token=stoa_ln_", server.base)),
        "{setup_url}"
    );
    let instance = TestInstance::with_key(&server, created).await;

    // 4. The client connects its database and its AI key.
    let (_, url) = create_empty().await;
    let body = json!({ "url": url.expose_secret() });
    let check = server
        .client(&instance.key, Method::POST, "/database/check")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(check.status(), StatusCode::OK);
    let check: Value = check.json().await.unwrap();
    assert_eq!(check["ok"], true, "{check}");
    let put = server
        .client(&instance.key, Method::PUT, "/database")
        .json(&body)
        .send()
        .await
        .unwrap();
    let (status, put) = (put.status(), put.json::<Value>().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{put}");
    let seen = instance_status(&server, &instance.key).await;
    assert_eq!(seen["database"]["state"], "ready", "{seen}");
    assert_eq!(seen["status"], "awaiting_setup");
    instance
        .add_model(&server, model_at(&fake.base_url(), "fake"))
        .await;

    // 5. The chat is active by itself, and answers.
    let seen = instance_status(&server, &instance.key).await;
    assert_eq!(seen["status"], "active", "{seen}");
    assert!(seen["activated_at"].is_string(), "{seen}");
    instance
        .add_text(
            &server,
            "Opening hours",
            "We are open from 9 to 17 on weekdays.",
        )
        .await;
    let chat = Conversation::begin(&server, &instance).await;
    let events = chat.events("When are you open on weekdays?").await;
    assert_eq!(events.last().unwrap().kind(), "[DONE]");
    assert_eq!(events[1].kind(), "source-document");
    let env = server
        .platform(Method::GET, &format!("/instances/{}/env", instance.id))
        .send()
        .await
        .unwrap();
    let env = env.text().await.unwrap();
    assert!(env.contains(&format!("CLIENT_ID={}", instance.id)), "{env}");
    assert!(env.contains("CLIENT_DATABASE_URL="), "{env}");
}
