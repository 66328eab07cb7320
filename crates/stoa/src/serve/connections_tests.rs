//! The accept loop over real sockets with a small router.

#![expect(
    clippy::disallowed_methods,
    reason = "tests reach their own listener on loopback, which nobody chose for them"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Instant;

use axum::body::Body;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const QUICK: ConnectionLimits = ConnectionLimits {
    headers: Duration::from_millis(300),
    stalled_write: Duration::from_millis(300),
    open: 100,
};

async fn start(limits: ConnectionLimits) -> (Connections, SocketAddr) {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        "slow but whole"
    };
    let endless = || async {
        Body::from_stream(tokio_stream::iter(std::iter::repeat_with(|| {
            Ok::<_, Infallible>(vec![b'x'; 64 * 1024])
        })))
    };
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() };
    let router = Router::new()
        .route("/", get(peer))
        .route("/slow", get(slow))
        .route("/never", get(std::future::pending::<&'static str>))
        .route("/endless", get(endless));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (Connections::accept(listener, router, limits), address)
}

async fn send(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// What comes until the other side closes; a test that waits longer than this has failed.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end as well.
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    drop(read.expect("the server closes the connection"));
    String::from_utf8_lossy(&answer).into_owned()
}

const CLOSE: &str = "Host: test\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_is_answered_and_the_peer_is_known() {
    let (connections, address) = start(QUICK).await;
    let mut stream = send(address, &format!("GET / HTTP/1.1\r\n{CLOSE}")).await;
    let answer = read_all(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"),
        "{answer}"
    );
    assert!(connections.drain(Duration::from_secs(1)).await);
}

#[tokio::test]
async fn silent_slow_and_idle_connections_are_closed() {
    let (_connections, address) = start(QUICK).await;
    for (sent, answered) in [
        ("", false),
        ("GET / HTTP/1.1\r\nHost: test\r\nX-Slow: 1\r\n", false),
        ("GET / HTTP/1.1\r\nHost: test\r\n\r\n", true),
    ] {
        let begun = Instant::now();
        let mut stream = send(address, sent).await;
        let answer = read_all(&mut stream).await;
        assert_eq!(answer.contains("200 OK"), answered, "{sent:?}: {answer}");
        assert!(
            begun.elapsed() >= QUICK.headers,
            "{sent:?} was closed too soon"
        );
        assert!(
            begun.elapsed() < QUICK.headers * 5,
            "{sent:?} was kept too long"
        );
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_dropped() {
    let (connections, address) = start(QUICK).await;
    let stream = send(address, "GET /endless HTTP/1.1\r\nHost: test\r\n\r\n").await;
    tokio::time::sleep(QUICK.stalled_write * 4).await;
    // Were the connection still served, draining would have to cut it at the deadline.
    assert!(connections.drain(Duration::from_millis(50)).await);
    drop(stream);
}

#[tokio::test]
async fn draining_finishes_what_is_under_way_and_takes_nothing_new() {
    let (connections, address) = start(ConnectionLimits::default()).await;
    let mut idle = send(address, "GET / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let mut slow = send(address, "GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    let begun = Instant::now();
    let (finished, answer, idle) = tokio::join!(
        connections.drain(Duration::from_secs(5)),
        read_all(&mut slow),
        read_all(&mut idle)
    );
    assert!(finished);
    assert!(answer.ends_with("slow but whole"), "{answer}");
    assert!(idle.contains("200 OK"));
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "idle connections are not waited for"
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the listener is closed"
    );
}

#[tokio::test]
async fn draining_cuts_what_is_not_finished_at_the_deadline() {
    let (connections, address) = start(ConnectionLimits::default()).await;
    let mut stuck = send(address, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    assert!(!connections.drain(Duration::from_millis(200)).await);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(read_all(&mut stuck).await, "");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_room() {
    let (_connections, address) = start(ConnectionLimits { open: 1, ..QUICK }).await;
    let first = send(address, "").await;
    let begun = Instant::now();
    let mut second = send(address, &format!("GET / HTTP/1.1\r\n{CLOSE}")).await;
    assert!(read_all(&mut second).await.contains("200 OK"));
    assert!(
        begun.elapsed() >= QUICK.headers,
        "the first one was reaped before"
    );
    drop(first);
}
