//! The hosted chat's page.

use reqwest::Method;
use serde_json::json;

use crate::support::{Browser, Server, TestInstance};

#[tokio::test]
async fn the_hosted_chat_wears_its_clients_name_and_is_framed_where_allowed() {
    let server = Server::start().await;
    let instance = TestInstance::active(&server, "Acme").await;
    let mut browser = Browser::default();
    let page = browser.open(&server, "/chat/acme").await;
    assert_eq!(page.status, 200);
    assert!(page.html.contains("<title>Acme</title>"), "{}", page.html);
    assert!(
        page.html
            .contains(&format!("data-instance-id=\"{}\"", instance.id))
    );
    assert!(
        page.policy()
            .starts_with("default-src 'none'; script-src 'nonce-")
    );
    assert!(
        page.policy().ends_with("frame-ancestors 'none'"),
        "{}",
        page.policy()
    );
    assert_eq!(page.headers["x-content-type-options"], "nosniff");

    let settings = json!({
        "display": {"bot_name": "Gear <Guide>", "language": "ar"},
        "access": {"allowed_origins": ["https://acme.example", "http://localhost:3000"]},
    });
    let put = server
        .client(&instance.key, Method::PUT, "/live-configuration")
        .json(&settings)
        .send()
        .await
        .unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let page = browser.open(&server, "/chat/acme?locale=de-AT").await;
    assert!(page.html.contains("Gear &#60;Guide&#62;"), "{}", page.html);
    assert!(
        page.html.contains("lang=\"ar\" dir=\"rtl\""),
        "{}",
        page.html
    );
    assert!(page.html.contains("data-locale=\"de-AT\""));
    assert!(
        page.policy()
            .ends_with("frame-ancestors https://acme.example http://localhost:3000"),
        "{}",
        page.policy()
    );
}

#[tokio::test]
async fn a_chat_that_is_not_there_is_a_page_that_says_so() {
    let server = Server::start().await;
    for path in ["/chat/nobody", "/chat/Not%20A%20Slug", "/chat/api"] {
        let page = Browser::default().open(&server, path).await;
        assert_eq!(page.status, 404);
        assert!(page.html.contains("There is no such page"), "{}", page.html);
    }
}

#[tokio::test]
async fn a_chat_without_a_database_and_a_suspended_one_still_show_themselves() {
    let server = Server::start().await;
    let body =
        json!({"name": "Bare", "admin_email": "a@example.com", "database": {"mode": "external"}});
    let made = server
        .platform(Method::POST, "/instances")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201);
    let page = Browser::default().open(&server, "/chat/bare").await;
    assert_eq!(page.status, 200);

    let instance = TestInstance::active(&server, "Acme").await;
    let suspended = server
        .platform(Method::POST, &format!("/instances/{}/suspend", instance.id))
        .json(&json!({"reason": "unpaid"}))
        .send()
        .await
        .unwrap();
    assert_eq!(suspended.status(), 200);
    let page = Browser::default().open(&server, "/chat/acme").await;
    assert_eq!(page.status, 200);
    assert!(page.html.contains("<title>Acme</title>"));
    let path = format!("/api/chat/v1/instances/{}/configuration", instance.id);
    let public = server.anonymous(Method::GET, &path).send().await.unwrap();
    let public: serde_json::Value = public.json().await.unwrap();
    assert_eq!(public["instance"]["status"], "suspended");
}
