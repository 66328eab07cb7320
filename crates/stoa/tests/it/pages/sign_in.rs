//! Links, passwords, sessions.

use reqwest::Method;

use super::{
    PASSWORD, setup_path, signed_in_client, signed_in_super_admin, super_admin_link,
    super_admin_with_password,
};
use crate::support::{Browser, Server, TestInstance};

#[tokio::test]
async fn a_link_sets_a_password_once_and_opens_the_console() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme & Sons").await;
    let url = instance.created["admin"]["setup_url"].as_str().unwrap();
    let path = setup_path(&server, url);
    let mut browser = Browser::default();
    // Whoever scans mail opens links, too.
    browser.open(&server, &path).await;
    let page = browser.open(&server, &path).await;
    assert_eq!(page.status, 200);
    assert!(page.html.contains("Acme &#38; Sons"), "{}", page.html);
    assert!(page.html.contains("ada@example.com"));
    let (form_token, token) = (page.field("form_token"), page.field("token"));

    let short = [
        ("form_token", form_token.as_str()),
        ("token", &token),
        ("password", "short"),
    ];
    let refused = browser.submit(&server, "/setup", &short).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.html.contains("at least 10 characters"),
        "{}",
        refused.html
    );

    let good = [
        ("form_token", form_token.as_str()),
        ("token", &token),
        ("password", PASSWORD),
    ];
    let done = browser.submit(&server, "/setup", &good).await;
    assert_eq!(
        (done.status, done.location.as_str()),
        (303, "/console/acme-sons")
    );
    let session = done
        .set_cookies
        .iter()
        .find(|cookie| cookie.starts_with("stoa_session="))
        .unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(
        !session.contains("Secure") && !session.contains("Domain"),
        "{session}"
    );

    let console = browser.open(&server, &done.location).await;
    assert_eq!(console.status, 200, "{}", console.html);
    assert!(console.html.contains("Acme &#38; Sons"));
    assert!(console.html.contains("1 of 5 done"), "{}", console.html);
    assert!(
        console
            .html
            .contains(&format!("{}/chat/acme-sons", server.base))
    );

    let again = Browser::default().open(&server, &path).await;
    assert_eq!(again.status, 404);
    assert!(
        again.html.contains("does not work any more"),
        "{}",
        again.html
    );
}

#[tokio::test]
async fn forms_are_taken_only_from_our_own_pages_in_the_same_browser() {
    let server = Server::start().await;
    super_admin_with_password(&server).await;
    let mut browser = Browser::default();
    let form_token = browser
        .open(&server, "/platform/sign-in")
        .await
        .field("form_token");
    let fields = |token: &'static str| {
        [
            ("email", "root@example.com"),
            ("password", PASSWORD),
            ("form_token", token),
        ]
    };
    let form_token: &'static str = form_token.leak();
    let path = "/platform/sign-in";
    let from_elsewhere = browser
        .submit_from(&server, path, &fields(form_token), "https://evil.example")
        .await;
    assert_eq!(from_elsewhere.status, 403);
    let without_token = browser.submit(&server, path, &fields("")).await;
    assert_eq!(without_token.status, 403);
    let in_another_browser = Browser::default()
        .submit(&server, path, &fields(form_token))
        .await;
    assert_eq!(in_another_browser.status, 403);
    let with_more = [
        ("email", "root@example.com"),
        ("password", PASSWORD),
        ("form_token", form_token),
        ("role", "owner"),
    ];
    assert_eq!(browser.submit(&server, path, &with_more).await.status, 422);

    let in_order = browser.submit(&server, path, &fields(form_token)).await;
    assert_eq!(
        (in_order.status, in_order.location.as_str()),
        (303, "/platform")
    );
}

#[tokio::test]
async fn the_platforms_console_lists_the_clients_and_ends_with_signing_out() {
    let server = Server::start().await;
    let empty = signed_in_super_admin(&server)
        .await
        .open(&server, "/platform")
        .await;
    assert!(empty.html.contains("No clients yet"), "{}", empty.html);
    TestInstance::create(&server, "Acme <script>").await;

    let mut browser = Browser::default();
    let page = browser.open(&server, "/platform").await;
    assert_eq!(
        (page.status, page.location.as_str()),
        (303, "/platform/sign-in")
    );
    let form_token = browser
        .open(&server, &page.location)
        .await
        .field("form_token");
    let fields = [
        ("form_token", form_token.as_str()),
        ("email", "Root@Example.com"),
        ("password", PASSWORD),
        ("next", "https://evil.example/"),
    ];
    let entered = browser.submit(&server, "/platform/sign-in", &fields).await;
    assert_eq!(
        (entered.status, entered.location.as_str()),
        (303, "/platform")
    );
    assert!(
        entered.set_cookies.iter().any(|cookie| {
            cookie.starts_with("stoa_admin=") && cookie.contains("SameSite=Strict")
        })
    );
    let page = browser.open(&server, "/platform").await;
    assert_eq!(page.status, 200);
    assert!(page.html.contains("Acme &#60;script&#62;"), "{}", page.html);
    assert!(page.html.contains("root@example.com"));

    let stolen = browser.cookie("stoa_admin").unwrap().to_owned();
    let form_token = page.field("form_token");
    let fields = [("form_token", form_token.as_str())];
    let left = browser.submit(&server, "/platform/sign-out", &fields).await;
    assert_eq!(
        (left.status, left.location.as_str()),
        (303, "/platform/sign-in")
    );
    assert!(browser.cookie("stoa_admin").is_none());
    let mut thief = Browser::default();
    thief.set_cookie("stoa_admin", &stolen);
    assert_eq!(
        thief.open(&server, "/platform").await.status,
        303,
        "the session is over"
    );
}

#[tokio::test]
async fn wrong_passwords_look_alike_and_wait_longer_and_longer() {
    let server = Server::start().await;
    super_admin_with_password(&server).await;
    let mut browser = Browser::default();
    let path = "/platform/sign-in";
    let form_token = browser.open(&server, path).await.field("form_token");
    let mut answers = Vec::new();
    for email in ["root@example.com", "nobody@example.com", "no address"] {
        let fields = [
            ("form_token", form_token.as_str()),
            ("email", email),
            ("password", "not the password"),
        ];
        let refused = browser.submit(&server, path, &fields).await;
        assert_eq!(refused.status, 401);
        assert!(
            refused.html.contains("do not go together"),
            "{}",
            refused.html
        );
        answers.push(refused.html.replace(email, ""));
    }
    assert_eq!(answers[0], answers[1], "who exists cannot be told");
    let guess = [
        ("form_token", form_token.as_str()),
        ("email", "root@example.com"),
        ("password", "not the password"),
    ];
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let refused = browser.submit(&server, path, &guess).await;
        statuses.push(refused.status);
        if refused.status == 429 {
            assert!(refused.headers.contains_key("retry-after"));
        }
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let right = [
        ("form_token", form_token.as_str()),
        ("email", "root@example.com"),
        ("password", PASSWORD),
    ];
    let early = browser.submit(&server, path, &right).await;
    assert_eq!(early.status, 429, "the right one waits, too");
}

#[tokio::test]
async fn new_credentials_end_the_admins_sessions_and_password() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let mut browser = signed_in_client(&server, &instance).await;
    assert_eq!(browser.open(&server, "/console/acme").await.status, 200);

    let path = format!("/instances/{}/admin-credentials", instance.id);
    let renewed = server.platform(Method::POST, &path).send().await.unwrap();
    assert_eq!(renewed.status(), 201);
    let renewed: serde_json::Value = renewed.json().await.unwrap();
    assert_eq!(renewed["email"], "ada@example.com");
    assert!(renewed["expires_at"].is_string());

    let page = browser.open(&server, "/console/acme").await;
    assert_eq!(
        (page.status, page.location.as_str()),
        (303, "/console/acme/sign-in")
    );
    let form_token = browser
        .open(&server, &page.location)
        .await
        .field("form_token");
    let fields = [
        ("form_token", form_token.as_str()),
        ("email", "ada@example.com"),
        ("password", PASSWORD),
    ];
    let refused = browser.submit(&server, &page.location, &fields).await;
    assert_eq!(refused.status, 401, "the old password is gone");

    let link = setup_path(&server, renewed["setup_url"].as_str().unwrap());
    assert_eq!(browser.open(&server, &link).await.status, 200);
    // Asking again makes the link before worthless.
    server.platform(Method::POST, &path).send().await.unwrap();
    assert_eq!(browser.open(&server, &link).await.status, 404);

    let stranger = server
        .platform(Method::POST, &path)
        .json(&serde_json::json!({"email": "eve@example.com"}))
        .send()
        .await
        .unwrap();
    crate::support::problem(stranger, 422, "invalid_body").await;
}

#[tokio::test]
async fn a_session_opens_its_own_console_and_no_other() {
    let server = Server::start().await;
    let own = TestInstance::create(&server, "Own").await;
    TestInstance::create(&server, "Other").await;
    let mut client = signed_in_client(&server, &own).await;
    assert_eq!(client.open(&server, "/console/own").await.status, 200);
    let other = client.open(&server, "/console/other").await;
    assert_eq!(
        (other.status, other.location.as_str()),
        (303, "/console/other/sign-in")
    );
    assert_eq!(client.open(&server, "/console/nobody").await.status, 404);
    assert_eq!(client.open(&server, "/platform").await.status, 303);

    // The token in the cookie of the other kind opens nothing either.
    let token = client.cookie("stoa_session").unwrap().to_owned();
    client.set_cookie("stoa_admin", &token);
    assert_eq!(client.open(&server, "/platform").await.status, 303);
    let mut admin = signed_in_super_admin(&server).await;
    let token = admin.cookie("stoa_admin").unwrap().to_owned();
    admin.set_cookie("stoa_session", &token);
    assert_eq!(admin.open(&server, "/console/own").await.status, 303);
}

#[tokio::test]
async fn over_tls_cookies_are_bound_to_the_host() {
    let server = Server::start_with(|options| {
        options.public_url = "https://stoa.example".parse().unwrap();
    })
    .await;
    let url = super_admin_link(&server).await;
    let path = url.strip_prefix("https://stoa.example").unwrap().to_owned();
    let mut browser = Browser::default();
    let page = browser.open(&server, &path).await;
    let (form_token, token) = (page.field("form_token"), page.field("token"));
    let fields = [
        ("form_token", form_token.as_str()),
        ("token", &token),
        ("password", PASSWORD),
    ];
    let done = browser
        .submit_from(&server, "/setup", &fields, "https://stoa.example")
        .await;
    assert_eq!(done.status, 303);
    let set = page.set_cookies.iter().chain(&done.set_cookies);
    for cookie in set {
        assert!(cookie.starts_with("__Host-stoa_"), "{cookie}");
        assert!(
            cookie.contains("Secure") && cookie.contains("Path=/"),
            "{cookie}"
        );
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    assert!(browser.cookie("__Host-stoa_admin").is_some());
}

#[tokio::test]
async fn every_page_says_what_browsers_may_do_with_it() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let mut browser = signed_in_client(&server, &instance).await;
    let mut nonces = Vec::new();
    for (path, status) in [
        ("/console/acme", 200),
        ("/console/acme", 200),
        ("/console/acme/sign-in", 200),
        ("/platform/sign-in", 200),
        ("/setup?token=nothing", 404),
        ("/no/such/page", 404),
    ] {
        let page = browser.open(&server, path).await;
        assert_eq!(page.status, status, "{path}");
        let policy = page.policy();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["referrer-policy"], "same-origin");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(
            page.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
        if let Some((_, rest)) = policy.split_once("'nonce-") {
            let nonce = rest.split('\'').next().unwrap().to_owned();
            assert!(page.html.contains(&format!("nonce=\"{nonce}\"")));
            nonces.push(nonce);
        }
        assert!(!page.html.contains("<script>"), "{path}");
    }
    assert_eq!(nonces.len(), 2);
    assert_ne!(nonces[0], nonces[1]);

    let home = browser.open(&server, "/").await;
    assert_eq!((home.status, home.location.as_str()), (303, "/platform"));
}
