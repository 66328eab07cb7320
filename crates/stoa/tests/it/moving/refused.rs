//! Moves that are not begun, called off, or do not come to their end: the data stays where it is.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use stoa_fake_postgres::{Behaviour, Proxy};

use super::{begin_move, call, managed_database, moved, number, own_database};
use crate::support::{Server, TestInstance, execute, problem};

const TRACES: &str = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE nspname = 'stoa' AND (relname LIKE 'mov%' OR relname LIKE '%arriv%')";

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_called_off_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Waverer").await;
    let old = managed_database(&client);
    // Somebody's long transaction keeps the move from noting changes.
    let mut long = PgConnection::connect(&old).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE stoa.webhooks IN ROW EXCLUSIVE MODE")
        .execute(&mut long)
        .await
        .unwrap();
    let own = own_database().await;
    begin_move(&server, &client, json!({ "url": own, "move": true })).await;
    moved(&server, &client, "preparing").await;

    let other = own_database().await;
    let put = |body: Value| {
        server
            .client(&client.key, Method::PUT, "/database")
            .json(&body)
    };
    let second = put(json!({ "url": other, "move": true }))
        .send()
        .await
        .unwrap();
    problem(second, 409, "database_move_under_way").await;
    let (_, instance) = call(&server, &client, Method::GET, "/instance", Value::Null).await;
    assert_eq!(
        instance["database"]["state"], "ready",
        "it is used all the while"
    );
    let previous = server.client(&client.key, Method::DELETE, "/database/previous");
    problem(previous.send().await.unwrap(), 409, "no_previous_database").await;

    let cancel = "/database/move/cancel";
    let (status, _) = call(&server, &client, Method::POST, cancel, Value::Null).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    sqlx::raw_sql("COMMIT").execute(&mut long).await.unwrap();
    moved(&server, &client, "cancelled").await;
    assert_eq!(number(&old, TRACES).await, 0);
    let functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'stoa'::regnamespace AND proname LIKE 'note%'";
    assert_eq!(number(&old, functions).await, 0);
    let ours = "SELECT count(*) FROM pg_namespace WHERE nspname = 'stoa'";
    assert_eq!(number(&own, ours).await, 0);
    let twice = server.client(&client.key, Method::POST, cancel);
    problem(twice.send().await.unwrap(), 409, "no_move_under_way").await;

    // The same two databases are as good as new.
    begin_move(&server, &client, json!({ "url": own, "move": true })).await;
    moved(&server, &client, "done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_to_is_refused_at_once() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Careful").await;
    let put = |body: Value| {
        server
            .client(&client.key, Method::PUT, "/database")
            .json(&body)
    };
    let managed = put(json!({ "mode": "managed", "move": true }))
        .send()
        .await
        .unwrap();
    problem(managed, 409, "database_is_managed").await;
    for (body, field) in [
        (json!({ "mode": "managed" }), "mode"),
        (json!({ "move": true }), "url"),
        (
            json!({ "mode": "managed", "move": true, "url": "postgres://a:b@c/d" }),
            "url",
        ),
    ] {
        let refused = problem(put(body).send().await.unwrap(), 422, "invalid_body").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let dead = json!({ "url": "postgres://ada:hunter2@nowhere.invalid/shop", "move": true });
    problem(
        put(dead).send().await.unwrap(),
        422,
        "database_check_failed",
    )
    .await;
    let others = TestInstance::create(&server, "Other").await;
    let others = others.created["env"]["CLIENT_DATABASE_URL"]
        .as_str()
        .unwrap()
        .to_owned();
    let others = put(json!({ "url": others, "move": true }))
        .send()
        .await
        .unwrap();
    problem(others, 422, "database_check_failed").await;
    let unknown = server.client(&client.key, Method::DELETE, "/database/previous?drop=1");
    problem(unknown.send().await.unwrap(), 422, "invalid_body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_there_already_end_a_move_and_the_chat_goes_on_where_it_was() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Mixed").await;
    let own = own_database().await;
    let old = managed_database(&client);
    let mut long = PgConnection::connect(&old).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE stoa.webhooks IN ROW EXCLUSIVE MODE")
        .execute(&mut long)
        .await
        .unwrap();
    // What somebody else had there before the schema was ours.
    let mut url: url::Url = own.parse().unwrap();
    let name = url.path().to_owned();
    url = stoa_platform_db::testing::cluster_url().parse().unwrap();
    url.set_path(&name);
    begin_move(&server, &client, json!({ "url": own, "move": true })).await;
    moved(&server, &client, "preparing").await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    execute(
        url.as_str(),
        "UPDATE stoa.move_arrival SET move_id = gen_random_uuid();
        INSERT INTO stoa.rag_instructions VALUES (true, '{}', now())",
    )
    .await;
    sqlx::raw_sql("COMMIT").execute(&mut long).await.unwrap();
    let failed = moved(&server, &client, "failed").await;
    assert_eq!(
        failed["error"]["code"], "move_destination_not_empty",
        "{failed}"
    );
    assert!(
        failed["error"]["remedy"]
            .as_str()
            .unwrap()
            .contains("Drop the schema")
    );
    assert_eq!(number(&old, TRACES).await, 0);
    assert_eq!(
        number(url.as_str(), "SELECT count(*) FROM stoa.rag_instructions").await,
        1
    );
    client.session(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_that_dies_in_the_middle_changes_nothing_and_the_move_goes_on_by_itself() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Patient").await;
    let old = managed_database(&client);
    let (session, _) = client.session(&server).await;
    let fill = format!(
        "INSERT INTO stoa.chat_messages (id, session_id, role, state, content, created_at, updated_at, finished_at)
         SELECT gen_random_uuid(), '{session}', 'user', 'complete', repeat('words ', 200), now(), now(), now()
         FROM generate_series(1, 20000)"
    );
    execute(&old, &fill).await;
    let own = own_database().await;
    let address: url::Url = own.parse().unwrap();
    let real = format!("127.0.0.1:{}", address.port().unwrap());
    let proxy = Proxy::start(&real).await.unwrap();
    let url = proxy.url(&own);
    begin_move(&server, &client, json!({ "url": url, "move": true })).await;
    moved(&server, &client, "copying").await;
    proxy.set(Behaviour::Dead).await;
    let begun = std::time::Instant::now();
    let told = loop {
        let latest = super::latest_move(&server, &client).await;
        if !latest["error"].is_null() {
            break latest;
        }
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(60),
            "{latest}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(told["error"]["code"], "move_destination_failed", "{told}");
    client.session(&server).await;
    let (_, instance) = call(&server, &client, Method::GET, "/instance", Value::Null).await;
    assert_eq!(instance["database"]["mode"], "managed");
    proxy.set(Behaviour::Well).await;
    let done = moved(&server, &client, "done").await;
    assert_eq!(done["error"], Value::Null, "{done}");
    let count = "SELECT count(*) FROM stoa.chat_messages";
    assert_eq!(number(&own, count).await, 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_present_database_that_dies_in_the_middle_is_left_when_it_is_back() {
    let server = Server::start().await;
    let body = json!({
        "name": "Shaky", "admin_email": "ada@example.com", "database": { "mode": "external" },
    });
    let made = server.platform(Method::POST, "/instances").json(&body);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let client = TestInstance::with_key(&server, made).await;
    let own = own_database().await;
    let address: url::Url = own.parse().unwrap();
    let real = format!("127.0.0.1:{}", address.port().unwrap());
    let proxy = Proxy::start(&real).await.unwrap();
    let url = json!({ "url": proxy.url(&own) });
    let (status, connected) = call(&server, &client, Method::PUT, "/database", url).await;
    assert_eq!(status, StatusCode::OK, "{connected}");
    client
        .add_model(&server, json!({ "name": "P", "provider": "passages" }))
        .await;
    let (session, _) = client.session(&server).await;
    let fill = format!(
        "INSERT INTO stoa.chat_messages (id, session_id, role, state, content, created_at, updated_at, finished_at)
         SELECT gen_random_uuid(), '{session}', 'user', 'complete', repeat('words ', 200), now(), now(), now()
         FROM generate_series(1, 20000)"
    );
    execute(&own, &fill).await;
    begin_move(&server, &client, json!({ "mode": "managed", "move": true })).await;
    moved(&server, &client, "copying").await;
    proxy.set(Behaviour::Dead).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let latest = super::latest_move(&server, &client).await;
    assert_eq!(latest["error"]["code"], "move_source_failed", "{latest}");
    assert_eq!(latest["switched_at"], Value::Null);
    proxy.set(Behaviour::Well).await;
    moved(&server, &client, "done").await;
    let count = "SELECT count(*) FROM stoa.chat_messages";
    assert_eq!(number(&managed_database(&client), count).await, 20_000);
}
