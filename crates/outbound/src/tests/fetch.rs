//! Answers that are too long, too slow or too big once they are unpacked.

use std::{io::Write, time::Duration};

use ::http::{HeaderValue, Method};
use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, sleep},
};
use url::Url;

use super::support::{Web, ok, open};
use crate::{Bounds, FetchError, FetchRequest};

fn bounds() -> Bounds {
    Bounds {
        total: Duration::from_secs(2),
        headers: Duration::from_millis(500),
        idle: Duration::from_millis(500),
        header_bytes: 4 * 1024,
        body_bytes: 64 * 1024,
        ..Bounds::default()
    }
}

async fn fetch(url: Url) -> Result<Vec<u8>, FetchError> {
    let fetched = open().fetch(FetchRequest::get(url), bounds()).await?;
    Ok(fetched.whole().await?.to_vec())
}

/// A server that says `pieces`, with `pause` before each, and then nothing more.
async fn dripping(pieces: Vec<Vec<u8>>, pause: Duration) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for piece in pieces {
            sleep(pause).await;
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    format!("http://127.0.0.1:{port}/").parse().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_keeps_the_bounds_comes_whole() {
    let web = Web::start(|request| {
        assert!(request.starts_with("POST /path?q=1 HTTP/1.1\r\n"));
        assert!(request.contains("x-signature: abc\r\n") && request.ends_with("\r\n\r\na body"));
        let headers = "content-encoding: gzip\r\ncontent-type: Text/HTML; charset=utf-8\r\n";
        ok(headers, &gzip(&[b'x'; 64 * 1024]))
    })
    .await;
    let request = FetchRequest::new(Method::POST, web.url("/path?q=1"))
        .header(
            "x-signature".parse().unwrap(),
            HeaderValue::from_static("abc"),
        )
        .body("a body");
    assert!(!format!("{request:?}").contains("abc") && !format!("{request:?}").contains("q=1"));
    let fetched = open().fetch(request, bounds()).await.unwrap();
    assert_eq!(
        (fetched.status().as_u16(), fetched.media_type().as_str()),
        (200, "text/html")
    );
    assert_eq!(fetched.whole().await.unwrap(), vec![b'x'; 64 * 1024]);
}

#[tokio::test]
async fn bodies_over_the_bound() {
    // Announced: not a byte of it is read.
    let announced = dripping(
        vec![b"HTTP/1.1 200 OK\r\ncontent-length: 65537\r\n\r\n".to_vec()],
        Duration::ZERO,
    );
    let error = fetch(announced.await).await.unwrap_err();
    assert!(
        matches!(error, FetchError::BodyTooLarge { most: 65_536 }),
        "{error:?}"
    );
    // In pieces, and without end.
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let endless = |_: usize| [b"8000\r\n".to_vec(), vec![b'x'; 0x8000], b"\r\n".to_vec()].concat();
    let mut pieces = vec![chunked.as_bytes().to_vec()];
    pieces.extend((0..1_000).map(endless));
    let error = fetch(dripping(pieces, Duration::ZERO).await)
        .await
        .unwrap_err();
    assert!(
        matches!(error, FetchError::BodyTooLarge { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_bomb_is_counted_as_what_it_unpacks_to() {
    // 256 MiB in a quarter of one.
    let bomb = gzip(&vec![0; 256 << 20]);
    assert!(bomb.len() < 512 * 1024);
    let web = Web::start(move |_| ok("content-encoding: gzip\r\n", &bomb)).await;
    let before = resident();
    let request = FetchRequest::get(web.url("/"));
    let wide = Bounds {
        body_bytes: 8 << 20,
        ..bounds()
    };
    let fetched = open().fetch(request, wide).await.unwrap();
    let error = fetched.whole().await.unwrap_err();
    assert!(
        matches!(error, FetchError::BodyTooLarge { .. }),
        "{error:?}"
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "grew by {} MB", grown >> 20);
}

/// This process's memory in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn headers_over_the_bound() {
    let large = format!("x-large: {}\r\n", "x".repeat(4 * 1024));
    let error = fetch(Web::saying(ok(&large, b"")).await.url("/"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, FetchError::HeadersTooLarge { .. }),
        "{error:?}"
    );
    // Without end: nobody waits for the end of them.
    let mut pieces = vec![b"HTTP/1.1 200 OK\r\n".to_vec()];
    pieces.extend((0..10_000).map(|it| format!("x-{it}: {}\r\n", "x".repeat(1_000)).into_bytes()));
    let url = dripping(pieces, Duration::ZERO).await;
    let patient = Bounds {
        total: Duration::from_secs(20),
        headers: Duration::from_secs(20),
        ..bounds()
    };
    let error = open().fetch(FetchRequest::get(url), patient).await;
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn answers_that_do_not_come_or_stop_or_never_end() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_vec();
    let began = Instant::now();
    let error = fetch(dripping(Vec::new(), Duration::ZERO).await)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "connection_timeout");
    // A byte of a header now and then does not help.
    let bytes = head.iter().map(|it| vec![*it]).collect();
    let error = fetch(dripping(bytes, Duration::from_millis(100)).await)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "connection_timeout");
    let stopped = vec![head.clone(), b"some".to_vec()];
    let error = fetch(dripping(stopped, Duration::ZERO).await)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Idle), "{error:?}");
    let mut drops = vec![head];
    drops.extend((0..100).map(|_| b"x".to_vec()));
    let error = fetch(dripping(drops, Duration::from_millis(100)).await)
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::TooSlow), "{error:?}");
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn answers_that_break_off_or_are_none() {
    let web = Web::start(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal".to_vec()).await;
    let url = web.url("/");
    let error = tokio::time::timeout(Duration::from_secs(2), fetch(url)).await;
    assert!(
        matches!(error, Ok(Err(FetchError::Idle))),
        "it says how long it is and stops"
    );
    for answer in [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nnot gzip",
        b"SSH-2.0-OpenSSH\r\n",
        b"\0\0\0\0",
        b"",
    ] {
        let outcome = fetch(Web::saying(answer).await.url("/")).await;
        match answer.len() {
            19 => assert_eq!(outcome.unwrap(), b""),
            _ => assert!(
                matches!(outcome, Err(FetchError::Broken { .. })),
                "{answer:?}: {outcome:?}"
            ),
        }
    }
    // The address is in no error: it can hold a secret.
    let broken = fetch(Web::saying("").await.url("/?key=a-secret"))
        .await
        .unwrap_err();
    assert!(!format!("{broken:?}").contains("a-secret"), "{broken:?}");
}
