//! The API's own description, for programs and for people.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::Server;

#[tokio::test]
async fn every_call_of_the_apis_is_described_with_who_may_call_it() {
    let server = Server::start().await;
    let response = server
        .anonymous(Method::GET, "/openapi.json")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let page = server
        .anonymous(Method::GET, "/api/docs")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let page = page.text().await.unwrap();

    let mut described = 0;
    for route in stoa_web::route_table() {
        let is_api = route.path.starts_with("/api/") || route.path.starts_with("/v1/");
        if !is_api || route.path == "/api/docs" {
            continue;
        }
        described += 1;
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][&route.path][&method];
        let called = format!("{} {}", route.method, route.path);
        assert!(
            operation["summary"]
                .as_str()
                .is_some_and(|it| !it.is_empty()),
            "{called}: {operation}"
        );
        let is_public = route.policy == stoa_web::Policy::Public;
        assert_eq!(
            operation["security"].is_null(),
            is_public,
            "{called}: {operation}"
        );
        assert!(page.contains(&called), "the page lacks {called}");
    }
    assert!(described > 40, "only {described} calls were found");
}
