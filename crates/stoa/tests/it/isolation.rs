//! The walls between clients, and between them and the platform: up, and taken down.

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use stoa_fake_ai::FakeAi;
use stoa_outbound::AddressPolicy;

use crate::pages::signed_in_super_admin;
use crate::program::Program;
use crate::support::{
    Browser, Server, Serving, TestInstance, on_empty_database, problem, read_stream,
};

/// An instance whose database is to be the client's own, and is not connected yet.
async fn unconnected(server: &Server, name: &str) -> TestInstance {
    let body = json!({
        "name": name,
        "admin_email": "ada@example.com",
        "database": { "mode": "external" },
    });
    let created = server
        .platform(Method::POST, "/instances")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(created.status(), StatusCode::CREATED);
    TestInstance::with_key(server, created.json().await.unwrap()).await
}

async fn call(
    server: &Server,
    instance: &TestInstance,
    method: Method,
    path: &str,
    body: Value,
) -> reqwest::Response {
    let request = server.client(&instance.key, method, path);
    let request = match body {
        Value::Null => request,
        body => request.json(&body),
    };
    request.send().await.unwrap()
}

async fn json_of(server: &Server, instance: &TestInstance, path: &str) -> Value {
    let response = call(server, instance, Method::GET, path, Value::Null).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

async fn overview(server: &Server) -> String {
    let mut browser: Browser = signed_in_super_admin(server).await;
    browser.open(server, "/platform").await.html
}

#[tokio::test]
async fn with_the_walls_up_a_database_is_one_instances_and_not_the_platforms() {
    let server = Server::start().await;
    let owner = TestInstance::active(&server, "Owner").await;
    let other = unconnected(&server, "Other").await;
    let shared = json!({ "url": owner.database_url() });
    let report = call(
        &server,
        &other,
        Method::POST,
        "/database/check",
        shared.clone(),
    )
    .await;
    let report: Value = report.json().await.unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(check(&report, "ownership")["status"], "fail", "{report}");
    let refused = call(&server, &other, Method::PUT, "/database", shared).await;
    problem(refused, 422, "database_check_failed").await;

    let platform = json!({ "url": server.database.url.expose_secret() });
    let refused = call(&server, &other, Method::PUT, "/database", platform).await;
    problem(refused, 422, "database_is_platform").await;
    let page = overview(&server).await;
    assert!(!page.contains("ISOLATION"), "{page}");
}

#[tokio::test]
async fn with_client_isolation_off_two_instances_share_all_content_and_nothing_else() {
    let fake = FakeAi::start().await.unwrap();
    let server = Server::start_with(|options| options.client_isolation = false).await;
    let owner = TestInstance::answering_from(&server, "Owner", &fake.base_url()).await;
    let other = unconnected(&server, "Other").await;
    let shared = json!({ "url": owner.database_url() });
    let report = call(
        &server,
        &other,
        Method::POST,
        "/database/check",
        shared.clone(),
    )
    .await;
    let report: Value = report.json().await.unwrap();
    assert_eq!(report["ok"], true, "{report}");
    let ownership = check(&report, "ownership");
    assert_eq!(ownership["status"], "warn");
    let said = ownership["detail"].as_str().unwrap();
    assert!(
        said.contains("CLIENT_DATA_ISOLATION_ENABLED=false"),
        "{said}"
    );
    let put = call(&server, &other, Method::PUT, "/database", shared).await;
    assert_eq!(put.status(), StatusCode::OK);

    // One body of content with two doors: settings, documents and conversations are the same.
    let settings = json!({ "display": { "bot_name": "One and the same" } });
    let put = call(
        &server,
        &other,
        Method::PUT,
        "/live-configuration",
        settings,
    )
    .await;
    assert_eq!(put.status(), StatusCode::OK);
    let seen = json_of(&server, &owner, "/live-configuration").await;
    assert!(seen.to_string().contains("One and the same"), "{seen}");
    owner
        .add_text(&server, "Returns", "Bring it back within 30 days.")
        .await;
    let seen = json_of(&server, &other, "/documents").await;
    assert_eq!(seen["data"][0]["title"], "Returns");
    let (session, token) = owner.session(&server).await;
    let seen = json_of(&server, &other, "/sessions").await;
    assert_eq!(seen["data"][0]["id"], session.as_str());

    // A key stays with the instance that it was given to.
    let seen = json_of(&server, &other, "/api-configurations").await;
    assert_eq!(seen["data"][0]["needs_key"], true, "{seen}");

    // An answer is charged to whom it was asked of, once, whoever sweeps.
    let asked = server
        .visitor(
            &token,
            Method::POST,
            &format!("/sessions/{session}/messages"),
        )
        .json(&json!({ "content": "How do returns work?" }));
    read_stream(asked.send().await.unwrap(), |_| false).await;
    let mut platform = PgConnection::connect(server.database.url.expose_secret())
        .await
        .unwrap();
    let counted = async |platform: &mut PgConnection| {
        sqlx::query_as::<_, (String,)>("SELECT instance_id::text FROM stoa_platform.usage_events")
            .fetch_all(platform)
            .await
            .unwrap()
    };
    let charged = [(owner.id.clone(),)];
    assert_eq!(counted(&mut platform).await, charged);
    // Long enough ago for the sweeps to look at it.
    let mut client = PgConnection::connect(&owner.database_url()).await.unwrap();
    sqlx::query("UPDATE stoa.chat_messages SET finished_at = now() - interval '5 minutes'")
        .execute(&mut client)
        .await
        .unwrap();
    server.sweep_now(&other.id).await;
    server.sweep_now(&owner.id).await;
    assert_eq!(counted(&mut platform).await, charged);
    // What was lost in a crash is still found, and by one of them only.
    sqlx::query("DELETE FROM stoa_platform.usage_events")
        .execute(&mut platform)
        .await
        .unwrap();
    server.sweep_now(&owner.id).await;
    server.sweep_now(&other.id).await;
    assert_eq!(counted(&mut platform).await, charged);

    let page = overview(&server).await;
    assert!(
        page.contains("CLIENT_DATA_ISOLATION_ENABLED is false"),
        "{page}"
    );
    assert!(!page.contains("PLATFORM_ISOLATION_ENABLED"), "{page}");

    // The wall back up: the database is its owner's alone again, and the owner notices nothing.
    let database = server.stop().await;
    let server = Server::on(database, |_| {}).await;
    let refused = call(&server, &other, Method::GET, "/documents", Value::Null).await;
    problem(refused, 503, "database_mismatch").await;
    json_of(&server, &owner, "/documents").await;
}

#[tokio::test]
async fn with_platform_isolation_off_a_client_may_live_in_the_platforms_database() {
    let server = Server::start_with(|options| {
        options.platform_isolation = false;
        options.allowed_hosts = AddressPolicy::loopback();
    })
    .await;
    let client = unconnected(&server, "Inside").await;
    let url = server.database.url.expose_secret().to_owned();
    let put = call(
        &server,
        &client,
        Method::PUT,
        "/database",
        json!({ "url": url }),
    )
    .await;
    assert_eq!(
        put.status(),
        StatusCode::OK,
        "{}",
        put.text().await.unwrap()
    );
    let passages = json!({ "name": "P", "provider": "passages", "model": "passages" });
    client.add_model(&server, passages).await;
    client.session(&server).await;
    let page = overview(&server).await;
    assert!(
        page.contains("PLATFORM_ISOLATION_ENABLED is false"),
        "{page}"
    );
}

#[tokio::test]
async fn a_wall_that_is_down_is_told_at_the_start_and_by_the_doctor() {
    let down = |program: Program| {
        program
            .with("PLATFORM_ISOLATION_ENABLED", "false")
            .with("CLIENT_DATA_ISOLATION_ENABLED", "no")
    };
    let names = [
        "PLATFORM_ISOLATION_ENABLED",
        "CLIENT_DATA_ISOLATION_ENABLED",
    ];
    let (serving, program) = Serving::start(down(on_empty_database().await), &["serve"]);
    let doctor = program.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let (_, log, _) = serving.end_by(rustix::process::Signal::TERM);
    for name in names {
        let said = format!("{name} is false: ");
        let line = log.lines().find(|line| line.contains(&said)).unwrap();
        assert!(line.contains("\"WARN\""), "{line}");
        let checks = report["checks"].as_array().unwrap();
        let told = checks.iter().find(|check| {
            let detail = check["detail"].as_str().unwrap();
            detail.starts_with(&said)
        });
        assert_eq!(told.unwrap()["status"], "warn");
    }
    assert_eq!(report["ok"], true, "a warning is no failure");

    let (serving, program) = Serving::start(on_empty_database().await, &["serve"]);
    let doctor = program.run(&["doctor"]);
    let (_, log, _) = serving.end_by(rustix::process::Signal::TERM);
    assert!(!log.contains("ISOLATION") && !doctor.stdout.contains("ISOLATION"));
}
