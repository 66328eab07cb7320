//! The fake over real sockets, as bytes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows only the tests themselves"
)]

use std::time::{Duration, Instant};

use stoa_fake_ai::{Behaviour, FakeAi, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[expect(
    clippy::disallowed_methods,
    reason = "this test looks at the bytes of the fake itself"
)]
async fn connect(fake: &FakeAi) -> TcpStream {
    TcpStream::connect(fake.addr).await.unwrap()
}

async fn ask(fake: &FakeAi, method: &str, path: &str, body: &str) -> TcpStream {
    let mut socket = connect(fake).await;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: fake\r\nauthorization: Bearer k\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn chat(fake: &FakeAi, model: &str) -> TcpStream {
    let body = format!(
        r#"{{"model":"{model}","stream":true,"stream_options":{{"include_usage":true}},
        "messages":[{{"role":"user","content":"Hello there"}}]}}"#
    );
    ask(fake, "POST", "/v1/chat/completions", &body).await
}

async fn read(mut socket: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_stream_is_openais_and_is_recorded() {
    let fake = FakeAi::start().await.unwrap();
    let reply = read(chat(&fake, "m").await).await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    for part in [
        r#""delta":{"content":"You "}"#,
        r#""finish_reason":"stop""#,
        r#""prompt_tokens":2,"total_tokens":6"#,
        "data: [DONE]\n\n",
    ] {
        assert!(reply.contains(part), "{part} in {reply}");
    }
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].authorization.as_deref(), Some("Bearer k"));
    assert_eq!(requests[0].tokens_sent, 4);
    assert_eq!(requests[0].outcome, Some(Outcome::Served));
    let listed = read(ask(&fake, "GET", "/_fake/requests", "").await).await;
    assert!(
        listed.contains(r#""count":1"#) && listed.contains(r#""outcome":"served""#),
        "{listed}"
    );
}

#[tokio::test]
async fn delay_and_rate_hold() {
    let fake = FakeAi::start().await.unwrap();
    let started = Instant::now();
    read(chat(&fake, "fake:delay=100,rate=100,tokens=21").await).await;
    let took = started.elapsed();
    assert!(
        (Duration::from_millis(295)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed() {
    let fake = FakeAi::start().await.unwrap();
    let mut socket = chat(&fake, "fake:hang_after=2").await;
    let mut seen = String::new();
    while !seen.contains("asked") {
        let mut piece = [0; 1024];
        let count = socket.read(&mut piece).await.unwrap();
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    drop(socket);
    let started = Instant::now();
    while fake.requests()[0].disconnected_at_token != Some(2) {
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            fake.requests()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn dropping_it_ends_streams_that_hang() {
    let fake = FakeAi::start().await.unwrap();
    let hanging = [
        chat(&fake, "fake:hang").await,
        chat(&fake, "fake:hang_after=1").await,
    ];
    while fake.count() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fake.stop().await;
    for socket in hanging {
        tokio::time::timeout(Duration::from_secs(3), read(socket))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn behaviour_is_set_by_server_header_and_model() {
    let fake = FakeAi::start().await.unwrap();
    fake.set_behaviour(Behaviour::parse("error=429,retry_after=2,times=1").unwrap());
    let first = read(chat(&fake, "m").await).await;
    assert!(
        first.starts_with("HTTP/1.1 429") && first.contains("retry-after: 2"),
        "{first}"
    );
    assert!(
        read(chat(&fake, "m").await)
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        read(chat(&fake, "fake:error=500").await)
            .await
            .starts_with("HTTP/1.1 500")
    );
    let odd = read(chat(&fake, "fake:nonsense").await).await;
    assert!(
        odd.starts_with("HTTP/1.1 400") && odd.contains("nonsense"),
        "{odd}"
    );
    let set = read(ask(&fake, "PUT", "/_fake/behaviour", "key=other").await).await;
    assert!(set.starts_with("HTTP/1.1 204"), "{set}");
    assert!(
        read(chat(&fake, "m").await)
            .await
            .starts_with("HTTP/1.1 401")
    );
}
