//! The platform's database knows that a client exists, never what its people say.

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::Row as _;
use stoa_fake_ai::FakeAi;

use crate::support::{Conversation, Server, TestInstance, said};

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
    let prompt = json!({ "system_prompt": "quokkaprompt" });
    instance.instruct(&server, prompt).await;
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
    let visitor = json!({ "user": { "id": "u-1", "name": "axolotlperson" } });
    let chat = Conversation::begin_with(&server, &instance, visitor).await;
    let question = "Where is the narwhalanswer, zebrafish?";
    let said = said(&chat.events(question).await);
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
