//! A whole move by HTTP, with what is kept afterwards, and back again.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{ask, begin_move, call, latest_move, managed_database, moved, number, own_database};
use crate::support::{Server, TestInstance, problem};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_moves_to_the_clients_own_and_back_with_everything_in_it() {
    let server = Server::start().await;
    let fake = FakeAi::start().await.unwrap();
    let client = TestInstance::answering_from(&server, "Mover", &fake.base_url()).await;
    client
        .add_text(&server, "Opening hours", "We are open from nine to five.")
        .await;
    let (session, token) = client.session(&server).await;
    ask(&server, &token, &session, "first").await.unwrap();
    assert_eq!(latest_move(&server, &client).await, Value::Null);

    let own = own_database().await;
    let begun = begin_move(&server, &client, json!({ "url": own, "move": true })).await;
    assert_eq!(begun["from"]["mode"], "managed");
    assert_eq!(begun["to"]["mode"], "external");
    let done = moved(&server, &client, "done").await;
    assert_eq!(done["previous_kept"], true, "{done}");
    assert_eq!(done["error"], Value::Null);
    let tables = done["tables"].as_array().unwrap();
    let messages = tables.iter().find(|it| it["table"] == "chat_messages");
    assert_eq!(messages.unwrap()["copied"], 2, "{done}");
    assert!(
        !done.to_string().contains("stoa_"),
        "no address is shown: {done}"
    );

    let (_, instance) = call(&server, &client, Method::GET, "/instance", Value::Null).await;
    assert_eq!(instance["database"]["mode"], "external");
    assert_eq!(instance["database"]["state"], "ready");
    ask(&server, &token, &session, "second").await.unwrap();
    let count = "SELECT count(*) FROM stoa.chat_messages";
    let old = managed_database(&client);
    assert_eq!(
        number(&old, count).await,
        2,
        "what was left is kept as it was"
    );
    assert_eq!(number(&own, count).await, 4);
    let (_, found) = call(
        &server,
        &client,
        Method::POST,
        "/search",
        json!({ "query": "open" }),
    )
    .await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1, "{found}");

    // The one that was left is not connected again by accident, nor moved back to.
    let made = client.created["env"]["CLIENT_DATABASE_URL"]
        .as_str()
        .unwrap();
    let put = |body: Value| {
        server
            .client(&client.key, Method::PUT, "/database")
            .json(&body)
    };
    let again = put(json!({ "url": made })).send().await.unwrap();
    problem(again, 409, "database_moved_away").await;
    let again = put(json!({ "url": made, "move": true }))
        .send()
        .await
        .unwrap();
    problem(again, 409, "database_moved_away").await;
    let back = json!({ "mode": "managed", "move": true });
    let early = put(back.clone()).send().await.unwrap();
    problem(early, 409, "previous_database_kept").await;

    let previous = "/database/previous";
    let (status, dropped) = call(&server, &client, Method::DELETE, previous, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{dropped}");
    assert_eq!(dropped["move"]["previous_kept"], false);
    let there = format!(
        "SELECT count(*) FROM pg_database WHERE datname = 'stoa_{}'",
        client.id.replace('-', "")
    );
    assert_eq!(number(&own, &there).await, 0);
    let twice = server.client(&client.key, Method::DELETE, previous);
    problem(twice.send().await.unwrap(), 409, "no_previous_database").await;

    begin_move(&server, &client, back).await;
    moved(&server, &client, "done").await;
    ask(&server, &token, &session, "third").await.unwrap();
    assert_eq!(number(&old, count).await, 6);
    assert_eq!(number(&own, count).await, 4);
    let position = "SELECT count(DISTINCT position) FROM stoa.chat_messages";
    assert_eq!(number(&old, position).await, 6);
    let (status, _) = call(&server, &client, Method::DELETE, previous, Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let ours = "SELECT count(*) FROM pg_namespace WHERE nspname = 'stoa'";
    assert_eq!(
        number(&own, ours).await,
        0,
        "nothing of ours stays with the client"
    );

    // Each step is in the audit log.
    let mut connection = server.app.platform().acquire().await.unwrap();
    let deeds: Vec<String> = sqlx::query_scalar(
        "SELECT action FROM stoa_platform.audit_log WHERE action LIKE '%database_move%'
            OR action LIKE '%previous%' ORDER BY position",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let once = [
        "instance.database_move_started",
        "instance.database_moved",
        "instance.previous_database_dropped",
    ];
    assert_eq!(deeds, [once, once].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_instance_drops_the_managed_database_that_it_left() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Leaver").await;
    let own = own_database().await;
    begin_move(&server, &client, json!({ "url": own, "move": true })).await;
    moved(&server, &client, "done").await;
    let delete = server.platform(Method::DELETE, &format!("/instances/{}", client.id));
    assert!(delete.send().await.unwrap().status().is_success());
    let there = format!(
        "SELECT count(*) FROM pg_database WHERE datname = 'stoa_{}'",
        client.id.replace('-', "")
    );
    assert_eq!(number(&own, &there).await, 0);
    let marker = "SELECT count(*) FROM stoa.stoa_instance";
    assert_eq!(number(&own, marker).await, 1, "the client's own stays");
}
