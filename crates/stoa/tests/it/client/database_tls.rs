//! A client's database that proves itself by a certificate authority of the client's own.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_outbound::AddressPolicy;

use super::{expect, ok, own_database, sent, unconnected};
use crate::support::{Server, TestInstance, problem};
use crate::tls_postgres::TlsPostgres;

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check {name}: {report}"))
}

#[tokio::test]
async fn a_database_is_verified_by_the_clients_own_authority() {
    let database = TlsPostgres::start("IP:127.0.0.1").await;
    let url = format!("{}?sslmode=verify-full", database.database("shop"));
    let server = Server::start().await;
    let client = unconnected(&server, "Own authority").await;
    let put = |body: &Value| {
        server
            .client(&client.key, Method::PUT, "/database")
            .json(body)
    };

    // Without the authority nothing is believed, and the answer says what to give.
    let refused = sent(put(&json!({ "url": url }))).await;
    let refused = problem(refused, 422, "database_check_failed").await;
    let remedy = check(&refused, "tls")["remedy"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(remedy.contains("ca_certificate"), "{remedy}");

    let body = json!({ "url": url, "ca_certificate": database.authority });
    let report = server.client(&client.key, Method::POST, "/database/check");
    let report = ok(report.json(&body)).await;
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(check(&report, "tls")["status"], "pass");
    let authority = check(&report, "ca_certificate");
    assert_eq!(authority["status"], "warn", "it is good for two days");
    assert!(
        authority["detail"]
            .as_str()
            .unwrap()
            .contains("CN=an-authority")
    );
    let connected = ok(put(&body)).await;
    assert_eq!(connected["instance"]["database"]["state"], "ready");
    client
        .add_model(&server, json!({ "name": "P", "provider": "passages" }))
        .await;
    client.session(&server).await;

    // It is kept with the address: another replica, which reads both anew, connects with it too.
    let replica = server.replica().await;
    client.session(&replica).await;
    let encrypted = database.sql(
        "SELECT count(*) > 0 AND bool_and(s.ssl) FROM pg_stat_ssl s
         JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'shop'",
    );
    assert_eq!(encrypted, "t");
    let path = format!("/instances/{}/env", client.id);
    let env = sent(server.platform(Method::GET, &path))
        .await
        .text()
        .await
        .unwrap();
    let line = env.lines().find(|it| it.starts_with("CLIENT_DATABASE_CA="));
    let value = line.expect(&env).trim_start_matches("CLIENT_DATABASE_CA=");
    let pem = value.trim_matches('\'').replace("\\n", "\n");
    let file = database.certificates.path().join("ca.pem");
    let file = std::fs::read_to_string(file).unwrap();
    assert_eq!(pem, file.trim_end());

    // An address that is given without it is given whole: nothing of the last one stays.
    let refused = sent(put(&json!({ "url": url }))).await;
    problem(refused, 422, "database_check_failed").await;

    let made = json!({
        "name": "Made", "admin_email": "ada@example.com",
        "database": {
            "mode": "external",
            "url": format!("{}?sslmode=verify-full", database.database("other")),
            "ca_certificate": database.authority,
        },
    });
    let made = server.platform(Method::POST, "/instances").json(&made);
    let made = expect(made, StatusCode::CREATED).await;
    assert_eq!(made["instance"]["database"]["state"], "ready");
    let value = made["env"]["CLIENT_DATABASE_CA"].as_str().unwrap();
    assert!(
        value.starts_with("-----BEGIN CERTIFICATE-----\\n"),
        "{value}"
    );
    database.stop().await;
}

#[tokio::test]
async fn what_is_no_authority_is_refused_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    crate::tls_postgres::certificate(folder.path(), "IP:127.0.0.1");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (authority, key) = (read("ca.pem"), read("ca.key"));
    let secret = key.lines().nth(1).unwrap();
    let server = Server::start().await;
    let client = unconnected(&server, "No authority").await;
    let url = own_database(&server).await;
    for (certificate, said) in [
        (String::new(), "PEM"),
        ("not a certificate".into(), "PEM"),
        (key.clone(), "private key"),
        (format!("{authority}\n{key}"), "private key"),
        (format!("{authority}{}", "#".repeat(64 * 1024)), "64 KiB"),
    ] {
        let body = json!({ "url": url, "ca_certificate": certificate });
        for (method, path) in [
            (Method::PUT, "/database"),
            (Method::POST, "/database/check"),
        ] {
            let request = server.client(&client.key, method, path).json(&body);
            let refused = problem(sent(request).await, 422, "invalid_body").await;
            assert_eq!(refused["errors"][0]["field"], "ca_certificate");
            let message = refused["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(said), "{message}");
            assert!(!refused.to_string().contains(secret));
        }
        let body = json!({
            "name": "X", "admin_email": "ada@example.com",
            "database": { "mode": "external", "url": url, "ca_certificate": certificate },
        });
        let request = server.platform(Method::POST, "/instances").json(&body);
        let refused = problem(sent(request).await, 422, "invalid_body").await;
        assert_eq!(refused["errors"][0]["field"], "database.ca_certificate");
    }
    // A project's secret key is no key for browsers.
    for key in [
        "sb_secret_abcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.x",
    ] {
        let body = json!({ "url": url, "supabase_anon_key": key });
        let request = server
            .client(&client.key, Method::PUT, "/database")
            .json(&body);
        let refused = problem(sent(request).await, 422, "invalid_body").await;
        assert_eq!(refused["errors"][0]["field"], "supabase_anon_key");
        assert!(!refused.to_string().contains(key));
    }
    let body =
        json!({ "url": url, "supabase_anon_key": "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.x" });
    expect(
        server
            .client(&client.key, Method::PUT, "/database")
            .json(&body),
        StatusCode::OK,
    )
    .await;
}

#[tokio::test]
async fn a_host_that_leaves_the_operators_list_is_an_outage_and_comes_back() {
    let server = Server::start().await;
    let client = unconnected(&server, "Unlisted").await;
    let url = own_database(&server).await;
    let url = format!("{}?sslmode=disable", url.split('?').next().unwrap());
    let body = json!({ "url": url });
    ok(server
        .client(&client.key, Method::PUT, "/database")
        .json(&body))
    .await;
    let seen = |server: &Server, path: &'static str| server.client(&client.key, Method::GET, path);
    ok(seen(&server, "/api-configurations")).await;

    let database = server.stop().await;
    let server = Server::on(database, |options| {
        options.allowed_hosts = AddressPolicy::default();
    })
    .await;
    let instance = ok(seen(&server, "/instance")).await;
    assert_eq!(
        instance["id"],
        client.id.as_str(),
        "it can still be looked at and mended"
    );
    let refused = sent(seen(&server, "/api-configurations")).await;
    let refused = problem(refused, 503, "database_tls_required").await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("STOA_ALLOWED_PRIVATE_HOSTS"), "{detail}");
    assert!(!detail.contains("postgres://"), "{detail}");
    let other = TestInstance::create(&server, "Another").await;
    ok(server.client(&other.key, Method::GET, "/api-configurations")).await;

    let database = server.stop().await;
    let server = Server::on(database, |_| {}).await;
    ok(seen(&server, "/api-configurations")).await;
}
