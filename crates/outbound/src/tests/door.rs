//! The door against real sockets and names that move.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's server ends with its runtime"
)]

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::http::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{AddressPolicy, Outbound, Resolve};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A resolver that gives the next of its answers each time, and the last one from then on.
struct Moving {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Resolve for Moving {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let turn = self
            .asked
            .fetch_add(1, Ordering::SeqCst)
            .min(self.answers.len() - 1);
        let answer = self.answers[turn].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn door(policy: AddressPolicy, answers: &[&[&str]]) -> Outbound {
    let answers = answers
        .iter()
        .map(|it| it.iter().map(|it| ip(it)).collect())
        .collect();
    Outbound::with_resolver(
        policy,
        Arc::new(Moving {
            answers,
            asked: AtomicUsize::new(0),
        }),
    )
}

const SOON: Duration = Duration::from_millis(500);

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
    let moving = Moving {
        answers: vec![vec![ip("127.0.0.1")], vec![ip("169.254.169.254")]],
        asked: AtomicUsize::new(0),
    };
    let moving = Arc::new(moving);
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

/// A web server that answers everything alike, and its port.
async fn web_server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn http_goes_through_the_same_judge() {
    let port = web_server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let open = Outbound::new(AddressPolicy::loopback());
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
    let port = web_server("HTTP/1.1 204 No Content\r\n\r\n").await;
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
    assert_eq!(
        door.request(Method::GET, url).unwrap_err().code(),
        "address_forbidden"
    );
    // A network that is allowed on one port is not opened to names on any.
    let listed = AddressPolicy::parse(&format!("127.0.0.1:{}", port ^ 1)).unwrap();
    let other = super::door::door(listed, &[&["127.0.0.1"]]);
    let url = format!("http://models.internal:{port}/").parse().unwrap();
    let error = other
        .request(Method::GET, url)
        .unwrap()
        .send()
        .await
        .unwrap_err();
    assert_eq!(other.explain(&error).unwrap().code(), "address_forbidden");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let port = web_server(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let open = Outbound::new(AddressPolicy::loopback());
    let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
    assert_eq!(
        open.request(Method::GET, url)
            .unwrap()
            .send()
            .await
            .unwrap()
            .status(),
        302
    );
}
