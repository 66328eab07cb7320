//! The door against real sockets and names that move.

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};

use ::http::Method;
use tokio::net::TcpListener;

use super::support::{Moving, SOON, Web, door, ip, ok, open, to};
use crate::{AddressPolicy, Outbound, Resolve};

#[tokio::test]
async fn a_name_is_judged_by_all_its_addresses_and_asked_for_once() {
    let closed = door(AddressPolicy::default(), &[&["127.0.0.1"]]);
    let refused = closed
        .connect("innocent.example", 80, SOON)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "address_forbidden");
    assert!(!refused.to_string().contains("127.0.0.1"), "{refused}");

    let mixed = door(AddressPolicy::default(), &[&["8.8.8.8", "10.0.0.1"]]);
    let refused = mixed.connect("mixed.example", 80, SOON).await.unwrap_err();
    assert_eq!(refused.code(), "address_forbidden");

    // Rebinding: the answer that was judged is the one that is used; nobody asks again.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let moving = Moving::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let door = Outbound::with_resolver(AddressPolicy::loopback(), Arc::clone(&moving) as _);
    let stream = door.connect("rebound.example", port, SOON).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap().ip(), ip("127.0.0.1"));
    assert!(stream.nodelay().unwrap());
    assert_eq!(moving.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn literals_and_numbers_are_judged_too() {
    let closed = Outbound::new(AddressPolicy::default());
    for host in [
        "127.0.0.1",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "localhost",
    ] {
        let refused = closed.connect(host, 1, SOON).await.unwrap_err();
        assert_eq!(refused.code(), "address_forbidden", "{host}");
    }
    // Numbers that the system's resolver may read as 127.0.0.1.
    for host in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"] {
        let refused = closed.connect(host, 1, SOON).await.unwrap_err();
        assert!(
            matches!(refused.code(), "address_forbidden" | "name_not_resolved"),
            "{host}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_costs_the_deadline_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let door = Outbound::new(AddressPolicy::loopback());
    let refused = door.connect("127.0.0.1", port, SOON).await.unwrap_err();
    assert_eq!(refused.code(), "connection_refused");
    struct Never;
    impl Resolve for Never {
        fn resolve<'a>(
            &'a self,
            _host: &'a str,
        ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
            Box::pin(std::future::pending())
        }
    }
    let door = Outbound::with_resolver(AddressPolicy::default(), Arc::new(Never));
    let began = tokio::time::Instant::now();
    let late = door.connect("slow.example", 80, SOON).await.unwrap_err();
    assert_eq!(late.code(), "connection_timeout");
    assert!(began.elapsed() < SOON * 2);
}

#[tokio::test]
async fn http_goes_through_the_same_judge() {
    let port = Web::saying(ok("", b"hi")).await.port;
    let open = open();
    let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let answer = open
        .request(Method::GET, url)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "hi");

    let closed = Outbound::new(AddressPolicy::default());
    for host in [
        "127.0.0.1",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{port}/").parse().unwrap();
        let refused = closed.request(Method::GET, url).unwrap_err();
        assert_eq!(refused.code(), "address_forbidden", "{host}");
    }
    let url = format!("http://localhost:{port}/").parse().unwrap();
    let error = closed
        .request(Method::GET, url)
        .unwrap()
        .send()
        .await
        .unwrap_err();
    assert_eq!(closed.explain(&error).unwrap().code(), "address_forbidden");

    for wrong in [
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://u:p@example.org/",
    ] {
        let refused = open
            .request(Method::GET, wrong.parse().unwrap())
            .unwrap_err();
        assert_eq!(refused.code(), "address_invalid", "{wrong}");
    }
}

#[tokio::test]
async fn ports_of_the_list_hold_for_http_as_well() {
    let port = Web::saying("HTTP/1.1 204 No Content\r\n\r\n").await.port;
    let listed = AddressPolicy::parse(&format!("models.internal:{port}")).unwrap();
    let door = door(listed, &[&["127.0.0.1"]]);
    let url = format!("http://models.internal:{port}/").parse().unwrap();
    assert_eq!(
        door.request(Method::GET, url)
            .unwrap()
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    let url = format!("http://models.internal:{}/", port ^ 1)
        .parse()
        .unwrap();
    assert_eq!(refusal(&door, url).await, "address_forbidden");
    // A network that is allowed on one port is open to names on that port and on no other.
    for (allowed, answer) in [(port, None), (port ^ 1, Some("address_forbidden"))] {
        let listed = AddressPolicy::parse(&format!("127.0.0.1:{allowed}")).unwrap();
        let door = super::support::door(listed, &[&["127.0.0.1"]]);
        let url: url::Url = format!("http://models.internal:{port}/").parse().unwrap();
        match answer {
            Some(code) => assert_eq!(refusal(&door, url).await, code),
            None => {
                let sent = door.request(Method::GET, url).unwrap().send().await;
                assert_eq!(sent.unwrap().status(), 204);
            }
        }
    }
    // A name that is listed for one port is judged by its addresses on the others, as for TCP.
    let listed = AddressPolicy::parse("models.internal:1").unwrap();
    let public = super::support::door(listed, &[&["2000::1"]]);
    let url = format!("http://models.internal:{port}/").parse().unwrap();
    if let Ok(code) = tokio::time::timeout(SOON, refusal(&public, url)).await {
        assert_ne!(code, "address_forbidden");
    }
}

/// Why a request was not answered.
async fn refusal(door: &Outbound, url: url::Url) -> &'static str {
    let sent = door.request(Method::GET, url).unwrap().send().await;
    door.explain(&sent.unwrap_err()).unwrap().code()
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let web = Web::saying(to(302, "http://169.254.169.254/")).await;
    let sent = open()
        .request(Method::GET, web.url("/"))
        .unwrap()
        .send()
        .await;
    assert_eq!(sent.unwrap().status(), 302);
}
