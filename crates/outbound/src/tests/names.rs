//! Names that move between being judged and being used, and addresses in disguise.

use std::{sync::atomic::Ordering, time::Duration};

use ::http::Method;
use tokio::{net::TcpListener, time::timeout};
use url::Url;

use super::support::{Moving, SOON, Web, door, ok};
use crate::{AddressPolicy, Bounds, FetchRequest, Outbound};

/// Public to the judge, and nowhere in fact: a connection to it fails at once or in time.
const PUBLIC: &str = "2000::1";

fn hasty() -> Bounds {
    Bounds {
        total: SOON,
        headers: SOON,
        idle: SOON,
        ..Bounds::default()
    }
}

async fn code_of(door: &Outbound, url: &Url) -> &'static str {
    let fetched = door.fetch(FetchRequest::get(url.clone()), hasty()).await;
    fetched.map_or_else(|error| error.code(), |_| "answered")
}

#[tokio::test]
async fn a_name_that_moves_to_this_machine_gains_nothing() {
    // TCP: public when judged, this machine when asked again. Nobody asks again.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let moving = Moving::new(&[&[PUBLIC], &["127.0.0.1"]]);
    let tcp = Outbound::with_resolver(AddressPolicy::default(), moving.clone());
    tcp.connect("moving.example", port, SOON).await.unwrap_err();
    assert_eq!(moving.asked.load(Ordering::SeqCst), 1);
    let refused = tcp.connect("moving.example", port, SOON).await;
    assert_eq!(refused.unwrap_err().code(), "address_forbidden");
    let came = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(came.is_err(), "nobody came");

    // HTTP: once for each connection, and what was answered then is what is used.
    let web = Web::saying(ok("", b"secret")).await;
    let url: Url = format!("http://moving.example:{}/", web.port)
        .parse()
        .unwrap();
    let moving = Moving::new(&[&[PUBLIC], &["127.0.0.1"]]);
    let http = Outbound::with_resolver(AddressPolicy::default(), moving.clone());
    assert_ne!(code_of(&http, &url).await, "answered");
    assert_eq!(moving.asked.load(Ordering::SeqCst), 1);
    assert_eq!(code_of(&http, &url).await, "address_forbidden");
    assert_eq!(web.connections(), 0);
}

#[tokio::test]
async fn answers_that_are_mixed_empty_or_many() {
    let web = Web::saying(ok("", b"")).await;
    let url: Url = format!("http://odd.example:{}/", web.port).parse().unwrap();
    for (answer, code) in [
        (&[PUBLIC, "127.0.0.1"][..], "address_forbidden"),
        (&["127.0.0.1", PUBLIC], "address_forbidden"),
        (&[PUBLIC, "::ffff:127.0.0.1"], "address_forbidden"),
        (&["169.254.169.254"], "address_forbidden"),
        (&["0.0.0.0"], "address_forbidden"),
        (&["::"], "address_forbidden"),
        (&[], "name_not_resolved"),
    ] {
        let closed = door(AddressPolicy::default(), &[answer]);
        assert_eq!(code_of(&closed, &url).await, code, "{answer:?}");
        let refused = closed.connect("odd.example", web.port, SOON).await;
        assert_eq!(refused.unwrap_err().code(), code, "{answer:?}");
    }
    // One bad address behind many good ones, beyond those that would be tried.
    let mut many = vec![PUBLIC; 100];
    many.push("127.0.0.1");
    let closed = door(AddressPolicy::default(), &[&many]);
    assert_eq!(code_of(&closed, &url).await, "address_forbidden");
    let refused = closed.connect("odd.example", web.port, SOON).await;
    assert_eq!(refused.unwrap_err().code(), "address_forbidden");
    assert_eq!(web.connections(), 0);

    // Many good ones share the time, and the deadline holds.
    let public = door(AddressPolicy::default(), &[&vec![PUBLIC; 1_000]]);
    let began = tokio::time::Instant::now();
    public.connect("odd.example", 1, SOON).await.unwrap_err();
    assert!(began.elapsed() < SOON * 3);
}

#[tokio::test]
async fn a_pooled_connection_serves_the_name_and_policy_it_was_judged_for() {
    let web = Web::start(|request| match request.contains("/last") {
        true => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
        false => ok("", b"hi"),
    })
    .await;
    let url = |host: &str, path: &str| -> Url {
        format!("http://{host}:{}{path}", web.port).parse().unwrap()
    };
    let listed = AddressPolicy::parse("a.internal, 127.0.0.1").unwrap();
    let answers: &[&[&str]] = &[&["127.0.0.1"], &["127.0.0.2"]];
    let door_a = Outbound::with_resolver(listed, Moving::new(answers));
    for _ in 0..2 {
        let fetched = door_a.fetch(FetchRequest::get(url("a.internal", "/")), hasty());
        fetched.await.unwrap().whole().await.unwrap();
    }
    assert_eq!(web.connections(), 1, "the connection is used again");
    // Another name that has moved is judged for itself, though the same machine is connected.
    assert_eq!(
        code_of(&door_a, &url("b.internal", "/")).await,
        "address_forbidden"
    );
    // Another policy has connections of its own, and none to this machine.
    let door_b = door(AddressPolicy::default(), answers);
    assert_eq!(
        code_of(&door_b, &url("a.internal", "/")).await,
        "address_forbidden"
    );
    assert_eq!(web.connections(), 1);
    // When the connection is gone, the name is judged anew where it leads then.
    let listed = AddressPolicy::parse("127.0.0.1").unwrap();
    let door_c = Outbound::with_resolver(listed, Moving::new(answers));
    assert_eq!(
        code_of(&door_c, &url("a.internal", "/last")).await,
        "answered"
    );
    assert_eq!(
        code_of(&door_c, &url("a.internal", "/")).await,
        "address_forbidden"
    );
}

#[tokio::test]
async fn addresses_in_disguise() {
    let web = Web::saying(ok("", b"secret")).await;
    let closed = Outbound::new(AddressPolicy::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0.0.0x1",
        "0177.0.0.1",
        "017700000001",
        "00000177.1",
        "127.0.0.1.",
        "127.255.255.254",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:FFFF:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[FD00::1]",
        "localhost",
        "LOCALHOST",
        "LocalHost.",
        "localhost.",
        // Digits and dots of other scripts, which addresses of the web are written down from.
        "１２７.0.0.1",
        "１２７。０。０。１",
        "①②⑦.⓪.⓪.①",
        "ｌｏｃａｌｈｏｓｔ",
        "%6c%6fcalhost",
        "127%2e0.0.1",
    ] {
        let url = format!("http://{host}:{}/", web.port);
        let url: Url = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let code = code_of(&closed, &url).await;
        // With the dot of the root zone some resolvers ask the network, which may not know it.
        let unknown = host.ends_with('.') && code == "name_not_resolved";
        assert!(code == "address_forbidden" || unknown, "{host}: {code}");
    }
    // What the URL's own grammar does not take, zones among it, does not get as far as here.
    for host in [
        "[::1%25lo]",
        "[fe80::1%eth0]",
        "127.0.0.256",
        "0x7f000001ff",
        "1.2.3.4.5",
        "a b",
    ] {
        assert!(format!("http://{host}/").parse::<Url>().is_err(), "{host}");
    }
    // The same for TCP, whose hosts are not read by the URL's grammar.
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "::1",
        "[::1]",
        "::",
        "::ffff:127.0.0.1",
        "::1%lo",
        "fe80::1%lo",
        "[::1",
        "localhost.",
        "LOCALHOST",
        "",
        "127.0.0.1\0.example",
    ] {
        let refused = closed.connect(host, web.port, SOON * 20).await.unwrap_err();
        assert!(
            matches!(refused.code(), "address_forbidden" | "name_not_resolved"),
            "{host}: {refused:?}"
        );
    }
    assert_eq!(web.connections(), 0);
    let refused = closed.request(Method::GET, "http://a@127.0.0.1/".parse().unwrap());
    assert_eq!(refused.unwrap_err().code(), "address_invalid");
}
