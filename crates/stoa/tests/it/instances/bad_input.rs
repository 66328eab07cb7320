//! What is refused, and how.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{create, created, get, named};
use crate::support::{Server, problem};

async fn send(server: &Server, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
    server
        .platform(Method::POST, "/instances")
        .header("content-type", content_type)
        .body(body)
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_body_that_is_no_body_is_refused_with_a_sentence() {
    let server = Server::start().await;
    let json = "application/json";
    problem(
        send(&server, json, "{\"name\": ").await,
        400,
        "malformed_json",
    )
    .await;
    problem(send(&server, json, "").await, 400, "malformed_json").await;
    problem(send(&server, json, "[]").await, 422, "invalid_body").await;
    problem(
        send(&server, "text/plain", "{}").await,
        415,
        "unsupported_media_type",
    )
    .await;
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(600 * 1024));
    problem(send(&server, json, large).await, 413, "body_too_large").await;
    assert_eq!(get(&server, "/instances").await["data"], json!([]));
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let server = Server::start().await;
    let with = |field: &str, value: Value| {
        let mut body = named("Acme");
        body[field] = value;
        body
    };
    for (body, field) in [
        (json!({"name": "Acme"}), "body"),
        (with("name", json!(7)), "name"),
        (with("name", json!("")), "name"),
        (with("name", json!("a\u{0}b")), "name"),
        (with("name", json!("x".repeat(101))), "name"),
        (with("admin_email", json!("nobody")), "admin_email"),
        (with("slug", json!("Not A Slug")), "slug"),
        (with("slug", json!("api")), "slug"),
        (with("plan", json!("gold")), "plan"),
        (with("region", json!("eu west")), "region"),
        (with("status", json!("active")), "status"),
        (
            with("id", json!("018f0000-0000-7000-8000-000000000000")),
            "id",
        ),
        (
            with("database", json!({"mode": "borrowed"})),
            "database.mode",
        ),
        (
            with(
                "database",
                json!({"mode": "managed", "url": "postgres://h/d"}),
            ),
            "database.url",
        ),
        (
            with("database", json!({"mode": "external", "host": "h"})),
            "database.host",
        ),
    ] {
        let refused = problem(create(&server, body.clone()).await, 422, "invalid_body").await;
        let named = refused["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(named, field, "{body} gave {refused}");
    }
    assert_eq!(get(&server, "/instances").await["data"], json!([]));
}

#[tokio::test]
async fn a_taken_slug_is_a_conflict_and_makes_no_database() {
    let server = Server::start().await;
    created(&server, named("Acme")).await;
    let mut body = named("Another");
    body["slug"] = json!("acme");
    let refused = problem(create(&server, body).await, 409, "slug_taken").await;
    assert!(refused["detail"].as_str().unwrap().contains("acme"));
    assert_eq!(
        get(&server, "/instances").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_names_nothing_is_not_found_and_what_says_nothing_is_told() {
    let server = Server::start().await;
    for path in [
        "/instances/not-an-id",
        "/instances/018f0000-0000-7000-8000-000000000000",
        "/instances/018f0000-0000-7000-8000-000000000000/env",
        "/instances/018f0000-0000-7000-8000-000000000000/usage",
        "/instances/018f0000-0000-7000-8000-000000000000/api-keys",
        "/nothing",
    ] {
        let response = server.platform(Method::GET, path).send().await.unwrap();
        problem(response, 404, "not_found").await;
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=many",
        "cursor=x",
        "status=gone",
        "status=active&status=deleting",
    ] {
        let path = format!("/instances?{query}");
        let response = server.platform(Method::GET, &path).send().await.unwrap();
        problem(response, 422, "invalid_body").await;
    }
    let response = server
        .platform(Method::PUT, "/instances")
        .send()
        .await
        .unwrap();
    problem(response, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn credentials_of_other_kinds_and_shapes_are_refused() {
    let server = Server::start().await;
    let path = "/api/platform/v1/instances";
    problem(
        server.anonymous(Method::GET, path).send().await.unwrap(),
        401,
        "unauthorized",
    )
    .await;
    for value in [
        "Basic dTpw",
        "Bearer",
        "Bearer ",
        "Bearer stoa_pt_short",
        "Bearer stoa_ck_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Bearer stoa_pt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let response = server
            .anonymous(Method::GET, path)
            .header("authorization", value)
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        problem(response, 401, "unauthorized").await;
    }
}
