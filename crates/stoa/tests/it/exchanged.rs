//! Whoever can write to a database and exchanges sealed values there gets nothing opened: the
//! instance whose values they are fails with a clear error, and the others do not notice.

use reqwest::{Method, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use stoa_fake_ai::FakeAi;

use crate::support::{
    Conversation, Server, TestInstance, ToolServer, execute, model_at, problem, read_stream,
};

const KEY: &str = "sk-test-0123456789abcdef";

struct World {
    server: Server,
    ours: TestInstance,
    theirs: TestInstance,
    other: TestInstance,
    fake: FakeAi,
}

impl World {
    async fn build() -> Self {
        let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
        let at = fake.base_url();
        Self {
            ours: TestInstance::answering_from(&server, "Ours", &at).await,
            theirs: TestInstance::answering_from(&server, "Theirs", &at).await,
            other: TestInstance::answering_from(&server, "Other", &at).await,
            server,
            fake,
        }
    }

    /// Does something to a database behind the server's back, and starts the server anew.
    async fn tampered(self, url: &str, sql: &str) -> Self {
        execute(url, sql).await;
        let database = self.server.stop().await;
        Self {
            server: Server::on(database, |_| {}).await,
            ..self
        }
    }

    /// Exchanges a column of two instances' registry rows.
    async fn exchanged(self, column: &str) -> Self {
        let url = self.server.database.url.expose_secret().to_owned();
        let sql = format!(
            "UPDATE stoa_platform.chat_instances AS i SET {column} = o.{column}
             FROM stoa_platform.chat_instances o
             WHERE (i.id, o.id) IN (('{ours}', '{theirs}'), ('{theirs}', '{ours}'))",
            ours = self.ours.id,
            theirs = self.theirs.id,
        );
        self.tampered(&url, &sql).await
    }

    async fn asked(&self, instance: &TestInstance) -> Response {
        let chat = Conversation::begin(&self.server, instance).await;
        chat.send("Hello?").await
    }

    /// It answers as it did.
    async fn works(&self, instance: &TestInstance) {
        let events = read_stream(self.asked(instance).await, |_| false).await;
        assert_eq!(events.last().unwrap().kind(), "[DONE]", "{events:?}");
    }

    /// Neither its client nor a visitor gets anything, and both are told why.
    async fn is_refused(&self, instance: &TestInstance) {
        let client = self.server.client(&instance.key, Method::GET, "/documents");
        let begun = self
            .server
            .anonymous(Method::POST, "/api/chat/v1/sessions")
            .json(&json!({ "instance_id": instance.id }));
        for request in [client, begun] {
            let refused = request.send().await.unwrap();
            let told = problem(refused, 500, "instance_secrets_do_not_open").await;
            let text = told.to_string();
            assert!(
                !text.contains("postgres://") && !text.contains("127.0.0.1"),
                "{text}"
            );
        }
        let list = self.server.platform(Method::GET, "/instances");
        let list: Value = list.send().await.unwrap().json().await.unwrap();
        assert_eq!(
            list["data"].as_array().unwrap().len(),
            3,
            "the registry can still be read"
        );
    }
}

#[tokio::test]
async fn exchanged_database_addresses_and_data_keys_open_for_nobody() {
    let mut world = World::build().await;
    for column in ["database_address_sealed", "data_key_wrapped"] {
        world = world.exchanged(column).await;
        world.is_refused(&world.ours).await;
        world.is_refused(&world.theirs).await;
        world.works(&world.other).await;
        // Put right, everything is as it was.
        world = world.exchanged(column).await;
        world.works(&world.ours).await;
        world.works(&world.theirs).await;
    }
}

#[tokio::test]
async fn a_secret_in_another_column_of_its_own_row_does_not_open() {
    let world = World::build().await;
    let url = world.server.database.url.expose_secret().to_owned();
    let sql = format!(
        "UPDATE stoa_platform.chat_instances SET supabase_sealed = database_address_sealed
         WHERE id = '{}'",
        world.ours.id
    );
    let world = world.tampered(&url, &sql).await;
    let path = format!("/instances/{}/env", world.ours.id);
    let env = world.server.platform(Method::GET, &path).send().await;
    let told = problem(env.unwrap(), 500, "instance_secrets_do_not_open").await;
    assert!(!told.to_string().contains("postgres://"), "{told}");
    world.works(&world.ours).await;
}

#[tokio::test]
async fn exchanged_ai_keys_go_nowhere_and_are_asked_for_again() {
    let world = World::build().await;
    let second = model_at(&world.fake.base_url(), "second");
    world.ours.add_model(&world.server, second).await;

    // Between two rows.
    let (ours, theirs) = (world.ours.database_url(), world.theirs.database_url());
    let exchange = "UPDATE stoa.api_configurations c SET sealed = o.sealed
                    FROM stoa.api_configurations o WHERE o.id <> c.id";
    let world = world.tampered(&ours, exchange).await;
    needs_keys(&world, 2).await;
    let world = world.tampered(&ours, exchange).await;
    world.works(&world.ours).await;

    // Between two instances.
    let mut connection = PgConnection::connect(&theirs).await.unwrap();
    let foreign: (String,) =
        sqlx::query_as("SELECT encode(sealed, 'hex') FROM stoa.api_configurations")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    let plant = |hex: &str| format!("UPDATE stoa.api_configurations SET sealed = '\\x{hex}'");
    let world = world.tampered(&ours, &plant(&foreign.0)).await;
    needs_keys(&world, 2).await;

    // Between two tables of two databases, under the very same data key.
    let mut platform = PgConnection::connect(world.server.database.url.expose_secret())
        .await
        .unwrap();
    let address: (String,) = sqlx::query_as(
        "SELECT encode(database_address_sealed, 'hex') FROM stoa_platform.chat_instances
         WHERE id = $1::text::uuid",
    )
    .bind(&world.ours.id)
    .fetch_one(&mut platform)
    .await
    .unwrap();
    let world = world.tampered(&ours, &plant(&address.0)).await;
    needs_keys(&world, 2).await;

    // Given again, with the address that it belongs to, it answers.
    let list = models(&world).await;
    let path = format!("/api-configurations/{}", list[0]["id"].as_str().unwrap());
    let patch = |body: Value| {
        world
            .server
            .client(&world.ours.key, Method::PATCH, &path)
            .json(&body)
    };
    let alone = patch(json!({ "api_key": KEY })).send().await.unwrap();
    problem(alone, 422, "invalid_body").await;
    let renamed = patch(json!({ "name": "Renamed" })).send().await.unwrap();
    assert_eq!(
        renamed.status(),
        200,
        "what is not about the key can be changed"
    );
    let whole = patch(json!({ "api_key": KEY, "base_url": world.fake.base_url() }));
    let mended: Value = whole.send().await.unwrap().json().await.unwrap();
    assert_eq!(mended["needs_key"], false, "{mended}");
    world.works(&world.ours).await;
}

async fn models(world: &World) -> Value {
    let list = world
        .server
        .client(&world.ours.key, Method::GET, "/api-configurations");
    list.send().await.unwrap().json::<Value>().await.unwrap()["data"].clone()
}

/// Every configuration of ours says that it needs its key; nobody was asked with a foreign one, and
/// the other clients go on.
async fn needs_keys(world: &World, count: usize) {
    world.fake.clear_requests();
    let list = models(world).await;
    assert_eq!(list.as_array().unwrap().len(), count);
    for model in list.as_array().unwrap() {
        assert_eq!(model["needs_key"], true, "{model}");
        assert!(model["base_url"].is_null(), "{model}");
        let path = format!("/api-configurations/{}/test", model["id"].as_str().unwrap());
        let tested = world.server.client(&world.ours.key, Method::POST, &path);
        let tested: Value = tested.send().await.unwrap().json().await.unwrap();
        assert_eq!(tested["ok"], false, "{tested}");
        assert_eq!(tested["error"]["code"], "key_needed", "{tested}");
    }
    problem(world.asked(&world.ours).await, 503, "ai_not_configured").await;
    assert!(world.fake.requests().is_empty(), "nobody was asked");
    world.works(&world.other).await;
    world.works(&world.theirs).await;
}

#[tokio::test]
async fn exchanged_headers_of_tools_go_nowhere_and_are_asked_for_again() {
    let world = World::build().await;
    let (shop, evil) = (ToolServer::start().await, ToolServer::start().await);
    for (name, at) in [("ours", &shop), ("evil", &evil)] {
        let tool = json!({
            "name": name, "description": "Finds an order.", "method": "GET",
            "url": format!("{}/orders", at.url), "headers": { "Authorization": format!("Bearer {name}") },
        });
        let request = world.server.client(&world.ours.key, Method::POST, "/tools");
        let added = request.json(&tool).send().await.unwrap();
        assert_eq!(added.status(), 201);
    }
    let exchange = "UPDATE stoa.tools c SET sealed = o.sealed FROM stoa.tools o WHERE o.id <> c.id";
    let database = world.ours.database_url();
    let world = world.tampered(&database, exchange).await;
    let list = world.server.client(&world.ours.key, Method::GET, "/tools");
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    for tool in list["data"].as_array().unwrap() {
        assert_eq!(tool["needs_url"], true, "{tool}");
        assert_eq!((&tool["url"], &tool["headers"]), (&Value::Null, &json!([])));
        let path = format!("/tools/{}", tool["id"].as_str().unwrap());
        let test = world
            .server
            .client(&world.ours.key, Method::POST, &format!("{path}/test"));
        let tried: Value = test
            .json(&json!({}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(tried["outcome"]["error"], "url_needed", "{tried}");

        let patch = |body: Value| {
            world
                .server
                .client(&world.ours.key, Method::PATCH, &path)
                .json(&body)
        };
        let alone = patch(json!({ "headers": { "Authorization": "Bearer new" } }));
        problem(alone.send().await.unwrap(), 422, "invalid_body").await;
        let described = patch(json!({ "description": "Finds it." }));
        assert_eq!(described.send().await.unwrap().status(), 200);
        let whole = json!({ "url": format!("{}/mended", shop.url), "headers": { "Authorization": "Bearer new" } });
        let mended: Value = patch(whole).send().await.unwrap().json().await.unwrap();
        assert_eq!(mended["needs_url"], false, "{mended}");
    }
    assert!(shop.asked().is_empty() && evil.asked().is_empty());
    world.works(&world.ours).await;
}
