//! The same request sent again.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{get, named};
use crate::support::{Server, problem};

async fn post(server: &Server, path: &str, key: &str, body: &Value) -> Response {
    server
        .platform(Method::POST, path)
        .header("idempotency-key", key)
        .json(body)
        .send()
        .await
        .expect("an answer")
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_has_its_effect_once() {
    let server = Server::start().await;
    let first = post(&server, "/instances", "key-1", &named("Acme")).await;
    assert_eq!(first.status(), 201);
    let first: Value = first.json().await.unwrap();
    let second = post(&server, "/instances", "key-1", &named("Acme")).await;
    assert_eq!(second.status(), 201);
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    assert_eq!(second.json::<Value>().await.unwrap(), first);
    let count = get(&server, "/instances").await["data"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(count, 1);

    let other = post(&server, "/instances", "key-1", &named("Other")).await;
    problem(other, 422, "idempotency_key_reused").await;

    // The key of one path is not the key of another.
    let id = first["instance"]["id"].as_str().unwrap();
    let keys = format!("/instances/{id}/api-keys");
    let body = json!({"name": "ci"});
    let one: Value = post(&server, &keys, "key-1", &body)
        .await
        .json()
        .await
        .unwrap();
    let two: Value = post(&server, &keys, "key-1", &body)
        .await
        .json()
        .await
        .unwrap();
    assert!(one["key"].as_str().unwrap().starts_with("stoa_ck_"));
    assert_eq!(one, two);
    assert_eq!(
        get(&server, &keys).await["data"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn many_at_once_have_one_effect() {
    let server = Server::start().await;
    let body = named("Acme");
    let answers =
        futures_util::future::join_all((0..6).map(|_| post(&server, "/instances", "key-2", &body)))
            .await;
    let made = answers
        .iter()
        .filter(|answer| answer.status() == 201)
        .count();
    let waiting = answers
        .iter()
        .filter(|answer| answer.status() == 409)
        .count();
    assert!(
        made >= 1 && made + waiting == 6,
        "{made} made, {waiting} told to wait"
    );
    let count = get(&server, "/instances").await["data"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_refused_request_gives_its_key_back() {
    let server = Server::start().await;
    let mut wrong = named("Acme");
    wrong["plan"] = json!("gold");
    let refused = post(&server, "/instances", "key-3", &wrong).await;
    problem(refused, 422, "invalid_body").await;
    let right = post(&server, "/instances", "key-3", &named("Acme")).await;
    assert_eq!(right.status(), 201);

    let bad = post(&server, "/instances", "", &named("Acme")).await;
    problem(bad, 400, "idempotency_key_invalid").await;
}

#[tokio::test]
async fn a_kept_answer_is_sealed_where_it_lies() {
    let server = Server::start().await;
    let made: Value = post(&server, "/instances", "key-4", &named("Acme"))
        .await
        .json()
        .await
        .unwrap();
    let setup = made["admin"]["setup_url"].as_str().unwrap();
    let token = setup.rsplit('=').next().unwrap();
    let stored = stored_answers(&server).await;
    assert!(stored.len() > 100, "an answer is kept");
    assert!(
        !stored
            .windows(token.len())
            .any(|part| part == token.as_bytes())
    );
    assert!(!stored.windows(4).any(|part| part == b"Acme"));
}

async fn stored_answers(server: &Server) -> Vec<u8> {
    use stoa_platform_db::idempotency_keys::{self, Begun, IdempotentRequest};
    let mut connection = server.database.db.acquire().await.unwrap();
    let now = server.app.clock().now();
    let actor = format!("platform_token:{}", platform_token_id(server).await);
    let hash = {
        use sha2::Digest as _;
        sha2::Sha256::digest(serde_json::to_vec(&named("Acme")).unwrap())
    };
    let scope = format!("{actor} POST /api/platform/v1/instances");
    let request = IdempotentRequest {
        scope: &scope,
        key: "key-4",
        request_hash: &hash,
    };
    match idempotency_keys::begin(&mut connection, &request, now, now, now)
        .await
        .unwrap()
    {
        Begun::Answered { response, .. } => response,
        other => panic!("{other:?}"),
    }
}

async fn platform_token_id(server: &Server) -> String {
    use stoa_platform_db::api_tokens::{self, ApiTokenScope};
    let mut connection = server.database.db.acquire().await.unwrap();
    let tokens = api_tokens::list(&mut connection, ApiTokenScope::Platform)
        .await
        .unwrap();
    tokens[0].id.to_string()
}
