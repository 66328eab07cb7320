//! Redirects: only when asked for, judged at every hop, and with nothing that is secret.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use proptest::prelude::*;
use url::Url;

use super::support::{Moving, Web, ok, open, to};
use crate::{AddressPolicy, Bounds, FetchError, FetchRequest, Fetched, Outbound};

fn following(redirects: usize) -> Bounds {
    Bounds {
        redirects,
        ..Bounds::default()
    }
}

async fn follow(door: &Outbound, url: Url, most: usize) -> Result<Fetched, FetchError> {
    door.fetch(FetchRequest::get(url), following(most)).await
}

/// A request with a key of every kind.
fn with_secrets(method: Method, url: Url) -> FetchRequest {
    [
        ("authorization", "Bearer a-secret"),
        ("cookie", "session=a-secret"),
        ("x-api-key", "a-secret"),
        ("x-webhook-signature", "a-secret"),
        ("accept", "text/html"),
    ]
    .into_iter()
    .fold(FetchRequest::new(method, url), |request, (name, value)| {
        request.header(name.parse().unwrap(), HeaderValue::from_static(value))
    })
}

#[tokio::test]
async fn are_followed_as_often_as_the_caller_says() {
    let web = Web::start(|request| {
        let hop: usize = request[5..6].parse().unwrap();
        match hop {
            0 => ok("", b"arrived"),
            _ => to(302, &format!("/{}#part", hop - 1)),
        }
    })
    .await;
    let answered = follow(&open(), web.url("/3"), 0).await.unwrap();
    assert_eq!(
        answered.status(),
        StatusCode::FOUND,
        "not followed unless asked"
    );
    let error = follow(&open(), web.url("/3"), 2).await.unwrap_err();
    assert!(
        matches!(error, FetchError::TooManyRedirects { most: 2 }),
        "{error:?}"
    );
    let arrived = follow(&open(), web.url("/3"), 3).await.unwrap();
    assert_eq!(arrived.url().path(), "/0");
    assert_eq!(arrived.whole().await.unwrap(), "arrived");
}

#[tokio::test]
async fn every_hop_is_judged() {
    let secret = Web::saying(ok("", b"secret")).await;
    let (listed, unlisted) = (
        Web::start(|request| {
            let target = request
                .split(' ')
                .nth(1)
                .unwrap()
                .strip_prefix("/?to=")
                .unwrap();
            to(307, target)
        })
        .await,
        secret.port,
    );
    // Only the first server's port is open.
    let policy = AddressPolicy::parse(&format!("127.0.0.1:{}", listed.port)).unwrap();
    let door = Outbound::with_resolver(policy, Moving::new(&[&["127.0.0.1"]]));
    for (target, code) in [
        (format!("http://127.0.0.1:{unlisted}/"), "address_forbidden"),
        (format!("//127.0.0.1:{unlisted}/"), "address_forbidden"),
        (
            format!("http://2130706433:{unlisted}/"),
            "address_forbidden",
        ),
        (
            format!("http://name.example:{unlisted}/"),
            "address_forbidden",
        ),
        (
            "http://169.254.169.254/latest/meta-data/".into(),
            "address_forbidden",
        ),
        (
            "http://[::ffff:169.254.169.254]/".into(),
            "address_forbidden",
        ),
        ("file:///etc/passwd".into(), "address_invalid"),
        ("gopher://127.0.0.1/".into(), "address_invalid"),
        ("http://user:password@127.0.0.1/".into(), "address_invalid"),
        ("http://[::1".into(), "redirect_refused"),
    ] {
        let error = follow(&door, listed.url(&format!("/?to={target}")), 3).await;
        assert_eq!(error.unwrap_err().code(), code, "{target}");
    }
    assert_eq!(secret.connections(), 0);
}

#[tokio::test]
async fn secrets_stay_with_the_origin_they_were_meant_for() {
    let other = Web::saying(ok("", b"there")).await;
    let target = other.url("/there").to_string();
    let web = Web::start(move |request| match request.split(' ').nth(1) {
        Some("/away") => to(307, &target),
        Some("/here") => to(307, "/there"),
        Some("/see") => to(303, "/there"),
        _ => ok("", b"here"),
    })
    .await;
    let send = async |method: Method, path: &str, body: &'static str| {
        let request = with_secrets(method, web.url(path)).body(body);
        open().fetch(request, following(3)).await
    };
    send(Method::GET, "/away", "").await.unwrap();
    let away = other.requests().pop().unwrap();
    assert!(!away.contains("a-secret"), "{away}");
    assert!(away.contains("accept: text/html"), "{away}");
    // The same origin gets what it was sent before, the body too where the status keeps it.
    send(Method::POST, "/here", "a body").await.unwrap();
    let here = web.requests().pop().unwrap();
    assert!(
        here.starts_with("POST /there") && here.ends_with("a body"),
        "{here}"
    );
    assert_eq!(here.matches("a-secret").count(), 4, "{here}");
    send(Method::POST, "/see", "a body").await.unwrap();
    let seen = web.requests().pop().unwrap();
    assert!(
        seen.starts_with("GET /there") && !seen.contains("a body"),
        "{seen}"
    );
    // A body goes to no other origin.
    let refused = send(Method::POST, "/away", "a body").await.unwrap_err();
    assert!(
        matches!(refused, FetchError::RedirectRefused { .. }),
        "{refused:?}"
    );
    assert_eq!(other.requests().len(), 1);
}

proptest! {
    #[test]
    fn no_target_leads_from_https_to_http_or_takes_a_secret_along(
        target in "((https?:)?//)?[a-z.:@/\\\\?#%\\[\\]0-9]{0,20}",
        status in prop::sample::select(vec![301_u16, 302, 303, 307, 308]),
        method in prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::PUT]),
        body in prop::sample::select(vec!["", "a body"]),
    ) {
        let from: Url = "https://origin.example/path".parse().unwrap();
        let request = with_secrets(method, from.clone()).body(body);
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(&target).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let Ok(Some(next)) = crate::fetch::next_request(&request, status, &headers) else {
            return Ok(());
        };
        let (url, headers, body) = next.parts();
        prop_assert_eq!(url.scheme(), "https");
        if url.origin() != from.origin() {
            prop_assert!(body.is_empty());
            let names: Vec<&HeaderName> = headers.keys().collect();
            prop_assert_eq!(names, vec![&header::ACCEPT]);
        }
    }
}
