//! The platform's database knows that a client exists, never what its people say.

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Row as _;
use stoa_fake_ai::FakeAi;

use crate::support::{Server, TestInstance, read_stream};

/// Words that appear in the client's content and nowhere else.
const SECRETS: [&str; 9] = [
    "zebrafish",
    "quokkaprompt",
    "narwhalanswer",
    "axolotlperson",
    "sk-test-0123456789abcdef",
    "pangolintitle",
    "lemurtool",
    "okapi.example.com",
    "tapirsecret",
];

#[tokio::test]
async fn nothing_of_the_clients_content_is_in_the_platforms_database() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let put = server
        .client(&instance.key, Method::PUT, "/rag-instructions")
        .json(&json!({ "system_prompt": "quokkaprompt" }))
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    instance
        .add_text(&server, "pangolintitle", "The narwhalanswer is forty-two.")
        .await;
    let tool = json!({
        "name": "lemurtool", "description": "Finds an order.", "method": "GET",
        "url": "https://okapi.example.com/orders", "headers": { "Authorization": "tapirsecret" },
    });
    let added = server
        .client(&instance.key, Method::POST, "/tools")
        .header("idempotency-key", "lemur")
        .json(&tool)
        .send()
        .await
        .unwrap();
    assert_eq!(added.status(), StatusCode::CREATED);
    let begun = server
        .anonymous(Method::POST, "/api/chat/v1/sessions")
        .json(&json!({ "instance_id": instance.id, "user": { "id": "u-1", "name": "axolotlperson" } }))
        .send()
        .await
        .unwrap();
    let begun: serde_json::Value = begun.json().await.unwrap();
    let (session, token) = (
        begun["session"]["id"].as_str().unwrap(),
        begun["token"].as_str().unwrap(),
    );
    let response = server
        .visitor(
            token,
            Method::POST,
            &format!("/sessions/{session}/messages"),
        )
        .json(&json!({ "content": "Where is the narwhalanswer, zebrafish?" }))
        .send()
        .await
        .unwrap();
    let events = read_stream(response, |_| false).await;
    let said: String = events
        .iter()
        .filter_map(|event| event.data["delta"].as_str())
        .collect();
    assert!(
        said.contains("zebrafish"),
        "the fake answers with the question: {said}"
    );

    let platform = everything(&server, "stoa_platform").await;
    assert!(platform.contains(&instance.id), "the registry was read");
    for secret in SECRETS {
        assert!(
            !platform.contains(secret),
            "the platform's database holds “{secret}”"
        );
    }
}

/// Every row of every table of a schema in the platform's database, as text.
async fn everything(server: &Server, schema: &str) -> String {
    let mut connection = server.app.platform().acquire().await.unwrap();
    let tables =
        sqlx::query("SELECT table_name FROM information_schema.tables WHERE table_schema = $1")
            .bind(schema)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let mut text = String::new();
    for table in tables {
        let table: String = table.get(0);
        let select = format!("SELECT t::text FROM {schema}.{table} t");
        let rows = sqlx::query(sqlx::AssertSqlSafe(select))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        for row in rows {
            text.push_str(row.get::<&str, _>(0));
            text.push('\n');
        }
    }
    text
}
