//! The kill switch: a client closes its database, and opens it again.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{OwnDatabase, instance_on, on_cluster};
use crate::support::{Server, TestInstance, expect, problem};

/// Calls until something is so, ten times a second.
async fn within(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !check().await {
        assert!(began.elapsed() < limit, "within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

async fn configuration(server: &Server, instance: &TestInstance) -> Value {
    let path = format!("/api/chat/v1/instances/{}/configuration", instance.id);
    expect(server.anonymous(Method::GET, &path), StatusCode::OK).await
}

async fn registered(server: &Server, instance: &TestInstance) -> Value {
    let path = format!("/instances/{}", instance.id);
    expect(server.platform(Method::GET, &path), StatusCode::OK).await
}

/// Whether a conversation can be begun.
async fn is_open(server: &Server, instance: &TestInstance) -> bool {
    let begin = server
        .anonymous(Method::POST, "/api/chat/v1/sessions")
        .json(&json!({ "instance_id": instance.id }));
    let response = begin.send().await.expect("an answer");
    match response.status() {
        StatusCode::CREATED => true,
        _ => {
            problem(response, 503, "chat_unavailable").await;
            false
        }
    }
}

#[tokio::test]
async fn a_closed_database_shows_as_offline_in_the_clients_own_looks() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let database = OwnDatabase::create(&server).await;
    let instance = instance_on(&server, &database, &fake, "fake").await;
    let put = server
        .client(&instance.key, Method::PUT, "/live-configuration")
        .json(&json!({
            "display": { "bot_name": "Trailhead", "greeting": "Ahoy!" },
            "theme": { "accent": "#0b6b57" },
        }));
    expect(put, StatusCode::OK).await;
    let well = configuration(&server, &instance).await;
    assert_eq!(well["available"], true);
    assert_eq!(
        registered(&server, &instance).await["database"]["error"],
        Value::Null
    );

    on_cluster(&format!("ALTER ROLE {} NOLOGIN", database.name)).await;
    let took = within(Duration::from_secs(11), "shut out", async || {
        !is_open(&server, &instance).await
    })
    .await;
    eprintln!("the closed database was noticed after {took:?}");
    let began = Instant::now();
    for _ in 0..50 {
        assert!(!is_open(&server, &instance).await);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "answers at once");

    // The looks are remembered, here in the process.
    let offline = configuration(&server, &instance).await;
    assert_eq!(offline["available"], false);
    for part in ["display", "theme", "features", "version"] {
        assert_eq!(offline[part], well[part]);
    }
    let path = format!("/chat/{}", instance.slug);
    let page = server.anonymous(Method::GET, &path).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("Trailhead"));

    // The platform's people see what is wrong, and nothing that opens anything.
    within(Duration::from_secs(6), "the state is shown", async || {
        registered(&server, &instance).await["database"]["state"] == "unreachable"
    })
    .await;
    let shown = registered(&server, &instance).await;
    let error = &shown["database"]["error"];
    assert_eq!(error["code"], "database_sign_in");
    assert!(error["since"].is_string());
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("PUT /api/client/v1/database"), "{message}");
    assert!(!shown.to_string().contains(&database.name), "{shown}");
    assert_eq!(shown["status"], "active");
    let metrics = stoa_app::metrics::render(&server.app, 0).await;
    let slug = &instance.slug;
    for line in [
        format!("stoa_instance_database_state{{instance=\"{slug}\",state=\"unreachable\"}} 1"),
        format!("stoa_instance_breaker_open{{instance=\"{slug}\"}} 1"),
        format!("stoa_instance_failures_total{{instance=\"{slug}\",code=\"database_sign_in\"}}"),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }

    on_cluster(&format!("ALTER ROLE {} LOGIN", database.name)).await;
    let took = within(Duration::from_secs(11), "let in again", async || {
        is_open(&server, &instance).await
    })
    .await;
    eprintln!("the opened database was noticed after {took:?}");
    assert_eq!(configuration(&server, &instance).await, well);
    within(Duration::from_secs(6), "the state is shown", async || {
        let database = registered(&server, &instance).await["database"].clone();
        database["state"] == "ready" && database["error"].is_null()
    })
    .await;
}

#[tokio::test]
async fn where_nobody_talks_a_worker_finds_a_database_back() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let database = OwnDatabase::create(&server).await;
    let instance = instance_on(&server, &database, &fake, "fake").await;
    // A second one that has a database and awaits its model.
    let other = OwnDatabase::create(&server).await;
    let body = json!({
        "name": "Waiting", "admin_email": "ada@example.com",
        "database": { "mode": "external", "url": other.url },
    });
    let request = server.platform(Method::POST, "/instances").json(&body);
    let waiting = TestInstance::with_key(&server, expect(request, StatusCode::CREATED).await).await;
    for (database, instance) in [(&database, &instance), (&other, &waiting)] {
        on_cluster(&format!("ALTER ROLE {} NOLOGIN", database.name)).await;
        server.app.clients().forget(instance.id.parse().unwrap());
        let list = server.client(&instance.key, Method::GET, "/api-configurations");
        let refused = list.send().await.unwrap();
        problem(refused, 503, "database_sign_in").await;
        within(Duration::from_secs(5), "the state is shown", async || {
            registered(&server, instance).await["database"]["state"] == "unreachable"
        })
        .await;
        // As after a restart: no pool knows of it.
        server.app.clients().forget(instance.id.parse().unwrap());
        on_cluster(&format!("ALTER ROLE {} LOGIN", database.name)).await;
    }
    for (instance, status) in [(&instance, "active"), (&waiting, "awaiting_setup")] {
        within(Duration::from_secs(60), "ready again", async || {
            registered(&server, instance).await["database"]["state"] == "ready"
        })
        .await;
        assert_eq!(registered(&server, instance).await["status"], status);
    }
}
