//! Checking and connecting a client's database, up to an active instance.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use secrecy::ExposeSecret as _;

use super::{address_for, expect, ok, own_database, sent, unconnected};
use crate::support::{Server, TestInstance, problem};

/// The failed check of a report: its name and what to do.
fn failure(report: &Value) -> (String, String) {
    let failed = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|check| check["status"] == "fail")
        .unwrap_or_else(|| panic!("nothing failed: {report}"));
    let text = |name: &str| failed[name].as_str().expect("a text").to_owned();
    (text("name"), text("remedy"))
}

async fn instance(server: &Server, client: &TestInstance) -> Value {
    ok(server.client(&client.key, Method::GET, "/instance")).await
}

#[tokio::test]
async fn an_instance_becomes_active_by_itself_on_the_clients_own_database() {
    let server = Server::start().await;
    let client = unconnected(&server, "Own").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let seen = instance(&server, &client).await;
    assert_eq!(seen["id"], client.id.as_str());
    assert_eq!(
        (&seen["status"], &seen["database"]["state"]),
        (&json!("awaiting_setup"), &json!("unset"))
    );
    let early = sent(call(Method::GET, "/api-configurations")).await;
    problem(early, 409, "database_not_set").await;

    let url = own_database(&server).await;
    let body = json!({
        "url": url,
        "supabase_url": "https://abcdefgh.supabase.co",
        "supabase_anon_key": "anon-key-of-the-project",
        "supabase_jwt_secret": "jwt-secret-of-the-project",
    });
    let report = ok(call(Method::POST, "/database/check").json(&body)).await;
    assert_eq!(report["ok"], true, "{report}");
    assert!(report["role_sql"].as_str().unwrap().contains("CREATE ROLE"));
    assert!(report["checks"].as_array().unwrap().len() >= 10);
    assert_eq!(
        instance(&server, &client).await["database"]["state"],
        "unset",
        "a check changes nothing"
    );

    let connected = ok(call(Method::PUT, "/database").json(&body)).await;
    assert_eq!(connected["ok"], true);
    let database = &connected["instance"]["database"];
    assert_eq!(
        (&database["mode"], &database["state"]),
        (&json!("external"), &json!("ready"))
    );
    assert!(database["host"].as_str().unwrap().starts_with("127.0.0.1"));
    assert!(database["version"].is_string() && database["pooler"].is_string());
    assert_eq!(connected["instance"]["status"], "awaiting_setup");

    let passages = json!({ "name": "Passages", "provider": "passages" });
    client.add_model(&server, passages).await;
    let active = instance(&server, &client).await;
    assert_eq!(active["status"], "active");
    assert!(active["activated_at"].is_string());
    client.session(&server).await;

    let env = sent(server.platform(Method::GET, &format!("/instances/{}/env", client.id))).await;
    let env = env.text().await.unwrap();
    assert!(
        env.contains("CLIENT_SUPABASE_URL=https://abcdefgh.supabase.co"),
        "{env}"
    );
    assert!(
        env.contains("CLIENT_SUPABASE_ANON_KEY=anon-key-of-the-project"),
        "{env}"
    );
    assert!(!env.contains("jwt-secret"), "{env}");
}

#[tokio::test]
async fn a_database_that_does_not_pass_changes_nothing_and_says_why() {
    let server = Server::start().await;
    let client = unconnected(&server, "Wrong").await;
    let other = TestInstance::create(&server, "Other").await;
    let fake = FakeAi::start().await.unwrap();
    let good = own_database(&server).await;
    let (credentials, rest) = good.rsplit_once('@').unwrap();
    let (user, password) = credentials.rsplit_once(':').unwrap();
    let others = other.created["env"]["CLIENT_DATABASE_URL"]
        .as_str()
        .unwrap();
    let web = fake
        .base_url()
        .replace("http://", "postgres://ada:hunter2@")
        .replace("/v1", "/shop");
    let cases = [
        ("nonsense".to_owned(), "address"),
        ("mysql://ada:hunter2@db.example.com/shop".into(), "address"),
        (format!("{good}?host=127.0.0.1"), "address"),
        ("postgres://ada:hunter2@10.0.0.1/shop".into(), "address"),
        (
            "postgres://ada:hunter2@169.254.169.254/shop".into(),
            "address",
        ),
        ("postgres://ada:hunter2@nowhere.invalid/shop".into(), "dns"),
        (web, "connect"),
        (format!("{user}:hunter2@{rest}"), "sign_in"),
        (others.to_owned(), "ownership"),
    ];
    for (url, name) in cases {
        let body = json!({ "url": url });
        let check = server.client(&client.key, Method::POST, "/database/check");
        let report = ok(check.json(&body)).await;
        assert_eq!(report["ok"], false, "{url}: {report}");
        let (failed, remedy) = failure(&report);
        assert_eq!(failed, name, "{url}: {report}");
        assert!(remedy.len() > 10 && report["role_sql"].as_str().unwrap().len() > 10);

        let put = server.client(&client.key, Method::PUT, "/database");
        let refused = problem(sent(put.json(&body)).await, 422, "database_check_failed").await;
        assert_eq!(failure(&refused).0, name, "{refused}");
        for secret in ["hunter2", password] {
            assert!(!refused.to_string().contains(secret), "{refused}");
        }
    }
    let seen = instance(&server, &client).await;
    assert_eq!(seen["database"]["state"], "unset");
    assert_eq!(seen["database"]["host"], Value::Null);
}

#[tokio::test]
async fn the_platforms_own_database_is_nobody_elses() {
    let server = Server::start().await;
    let client = unconnected(&server, "Cuckoo").await;
    let platform = server.database.url.expose_secret();
    let platform = platform.split('?').next().unwrap();
    let named = platform.replace("127.0.0.1", "localhost");
    let (_, rest) = platform.rsplit_once('@').unwrap();
    for url in [
        platform,
        named.as_str(),
        &format!("postgres://ada:guess@{rest}"),
    ] {
        let body = json!({ "url": url });
        let check = server.client(&client.key, Method::POST, "/database/check");
        let report = ok(check.json(&body)).await;
        assert_eq!(report["ok"], false, "{report}");
        let put = server.client(&client.key, Method::PUT, "/database");
        problem(sent(put.json(&body)).await, 422, "database_is_platform").await;
    }
}

#[tokio::test]
async fn an_instance_moves_only_where_nothing_is_left_behind() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Mover").await;
    let put = |url: &str| {
        server
            .client(&client.key, Method::PUT, "/database")
            .json(&json!({ "url": url }))
    };
    // The managed one holds nothing yet.
    let first = own_database(&server).await;
    assert_eq!(managed_databases(&server, &client).await, 1);
    let moved = ok(put(&first)).await;
    assert_eq!(moved["instance"]["database"]["mode"], "external");
    client
        .add_model(&server, json!({ "name": "P", "provider": "passages" }))
        .await;

    let second = own_database(&server).await;
    problem(sent(put(&second)).await, 409, "database_already_set").await;
    let kept = server.client(&client.key, Method::GET, "/api-configurations");
    assert_eq!(ok(kept).await["data"].as_array().unwrap().len(), 1);

    // The same database with another password, as after a rotation.
    let name = first.rsplit('/').next().unwrap();
    let name = name.split('?').next().unwrap().trim_start_matches("stoa_");
    let rotated = address_for(&server, name.parse().unwrap()).await;
    assert_ne!(rotated, first);
    let again = ok(put(&rotated)).await;
    assert_eq!(again["instance"]["status"], "active");
    let kept = server.client(&client.key, Method::GET, "/api-configurations");
    assert_eq!(ok(kept).await["data"].as_array().unwrap().len(), 1);

    // Deleting it leaves the client's database, and not the one that it began with.
    let delete = server.platform(Method::DELETE, &format!("/instances/{}", client.id));
    assert!(sent(delete).await.status().is_success());
    assert_eq!(managed_databases(&server, &client).await, 0);
}

#[tokio::test]
async fn what_stands_beside_the_address_is_examined_too() {
    let server = Server::start().await;
    let client = unconnected(&server, "Beside").await;
    let url = own_database(&server).await;
    for (field, value) in [
        ("supabase_url", json!("javascript:alert(1)")),
        ("supabase_url", json!("https://ada:secret@x.supabase.co")),
        ("supabase_anon_key", json!("with spaces in it")),
        ("supabase_jwt_secret", json!("")),
    ] {
        let mut body = json!({ "url": url });
        body[field] = value;
        for (method, path) in [
            (Method::PUT, "/database"),
            (Method::POST, "/database/check"),
        ] {
            let request = server.client(&client.key, method, path).json(&body);
            let refused = problem(sent(request).await, 422, "invalid_body").await;
            assert_eq!(refused["errors"][0]["field"], field);
        }
    }
    let unknown = json!({ "url": url, "instance_id": client.id });
    let put = server.client(&client.key, Method::PUT, "/database");
    problem(sent(put.json(&unknown)).await, 422, "invalid_body").await;
    let put = server.client(&client.key, Method::PUT, "/database");
    expect(put.json(&json!({ "url": url })), StatusCode::OK).await;
}

#[tokio::test]
async fn an_instance_can_be_made_with_its_database_or_not_at_all() {
    let server = Server::start().await;
    let url = own_database(&server).await;
    let make = |database: Value| {
        let body = json!({
            "name": "Shop", "slug": "shop", "admin_email": "ada@example.com", "database": database,
        });
        server.platform(Method::POST, "/instances").json(&body)
    };
    let wrong = url.replace(":5", ":6").replace("stoa_", "nobody_");
    let refused = sent(make(json!({ "mode": "external", "url": wrong }))).await;
    let refused = problem(refused, 422, "database_check_failed").await;
    assert!(refused["checks"].is_array() && refused["role_sql"].is_string());
    for (database, field) in [
        (json!({ "mode": "managed", "url": url }), "database.url"),
        (
            json!({ "mode": "external", "supabase_anon_key": "k" }),
            "database.url",
        ),
        (
            json!({ "mode": "external", "url": url, "supabase_url": "x" }),
            "database.supabase_url",
        ),
    ] {
        let refused = problem(sent(make(database)).await, 422, "invalid_body").await;
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let none = ok(server.platform(Method::GET, "/instances")).await;
    assert_eq!(none["data"], json!([]));

    let given = json!({
        "mode": "external", "url": url, "supabase_url": "https://abcdefgh.supabase.co",
        "supabase_anon_key": "anon-key",
    });
    let made = expect(make(given.clone()), StatusCode::CREATED).await;
    assert_eq!(made["instance"]["database"]["state"], "ready");
    assert_eq!(made["instance"]["status"], "awaiting_setup");
    let env = &made["env"];
    assert!(
        env["CLIENT_DATABASE_URL"]
            .as_str()
            .unwrap()
            .starts_with("postgres://stoa_")
    );
    assert_eq!(env["CLIENT_SUPABASE_ANON_KEY"], "anon-key");
    let client = TestInstance::with_key(&server, made).await;
    client
        .add_model(&server, json!({ "name": "P", "provider": "passages" }))
        .await;
    assert_eq!(instance(&server, &client).await["status"], "active");

    // Of two with one slug, the one that is not made leaves its database free.
    let databases = [own_database(&server).await, own_database(&server).await];
    let race = |name: &str, url: &str| {
        let body = json!({
            "name": name, "slug": name, "admin_email": "ada@example.com",
            "database": { "mode": "external", "url": url },
        });
        sent(server.platform(Method::POST, "/instances").json(&body))
    };
    let (first, second) = tokio::join!(race("same", &databases[0]), race("same", &databases[1]));
    let loser = usize::from(first.status() == StatusCode::CREATED);
    let lost = if loser == 0 { first } else { second };
    problem(lost, 409, "slug_taken").await;
    let another = race("another", &databases[loser]).await;
    assert_eq!(another.status(), StatusCode::CREATED);

    // The database is taken now, by an instance that exists.
    let again = sent(make(given)).await;
    problem(again, 409, "slug_taken").await;
}

/// How many databases the platform's cluster has for an instance.
async fn managed_databases(server: &Server, client: &TestInstance) -> i64 {
    let mut connection = server.app.platform().acquire().await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = 'stoa_' || $1")
        .bind(client.id.replace('-', ""))
        .fetch_one(&mut *connection)
        .await
        .unwrap()
}
