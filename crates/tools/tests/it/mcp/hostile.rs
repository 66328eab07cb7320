//! Servers that do not do as they should harm their own call, within its bounds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::{
    EVENTS, Hostile, Reply, Said, json_reply, opened, result, stateless, status, text,
    with_sessions,
};
use super::{KEY, at, call, list, methods};

/// A server whose answer to a call is this.
async fn answering<F>(answer: F) -> Hostile
where
    F: Fn(&Said) -> Reply + Send + Sync + 'static,
{
    stateless(move |said| (said.method() == "tools/call").then(|| answer(said))).await
}

/// What a model is told of a call whose answer is this.
async fn told<F>(answer: F) -> (Option<&'static str>, String)
where
    F: Fn(&Said) -> Reply + Send + Sync + 'static,
{
    let server = answering(answer).await;
    let outcome = call(&at(&server.url, Some("2026-07-28")), json!({})).await;
    assert_eq!(
        methods(&server.said()),
        ["tools/call"],
        "nothing is sent twice"
    );
    assert!(!outcome.content.contains("key-01"), "{}", outcome.content);
    (outcome.error, outcome.content)
}

fn whole(headers: &str, body: &str) -> Reply {
    status(200, headers, body)
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure_that_says_so() {
    const JSON: &str = "content-type: application/json\r\n";
    let html = "<html>Welcome</html>";
    for (reply, code) in [
        (whole("content-type: text/html\r\n", html), "protocol"),
        (whole("", ""), "protocol"),
        (whole(JSON, html), "protocol"),
        (whole(JSON, ""), "protocol"),
        (whole(JSON, "[]"), "protocol"),
        (
            whole(JSON, "{\"jsonrpc\":\"2.0\",\"id\":999,\"result\":{}}"),
            "protocol",
        ),
        (
            whole(JSON, "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}"),
            "protocol",
        ),
        (
            whole(JSON, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":7}"),
            "protocol",
        ),
        (whole(JSON, &"[".repeat(100_000)), "protocol"),
        (status(202, "", ""), "protocol"),
        (
            status(401, "www-authenticate: Bearer\r\n", ""),
            "unauthorized",
        ),
        (
            status(403, "content-type: text/html\r\n", html),
            "unauthorized",
        ),
        (
            status(500, "content-type: text/html\r\n", html),
            "http_status",
        ),
        (status(429, "retry-after: 5\r\n", ""), "http_status"),
        (
            Reply::Pieces(vec![b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()]),
            "answer_broken",
        ),
        (Reply::Pieces(vec![]), "answer_broken"),
        (Reply::Pieces(vec![EVENTS.as_bytes().to_vec()]), "protocol"),
        (
            Reply::Pieces(vec![format!("{EVENTS}data: nonsense\n\n").into_bytes()]),
            "protocol",
        ),
        (
            Reply::Pieces(vec![format!("{EVENTS}data: [1]\n\n").into_bytes()]),
            "protocol",
        ),
        (
            Reply::Pieces(vec![EVENTS.as_bytes().to_vec(), b"data: \xff\n\n".to_vec()]),
            "protocol",
        ),
    ] {
        // A status of refusal sends a client of both ways to the old one: there it fails as well.
        let reply = std::sync::Mutex::new(Some(reply));
        let server = Hostile::start(move |said| match said.method().as_str() {
            "tools/call" => reply
                .lock()
                .unwrap()
                .take()
                .unwrap_or_else(|| status(500, "", "")),
            _ => status(429, "", ""),
        })
        .await;
        let outcome = call(&at(&server.url, Some("2026-07-28")), json!({})).await;
        let sent = methods(&server.said());
        assert_eq!(outcome.error, Some(code), "{} {sent:?}", outcome.content);
        assert!(outcome.content.len() < 200, "{}", outcome.content);
    }
}

#[tokio::test]
async fn a_redirect_takes_nothing_to_another_host() {
    let elsewhere = Hostile::start(|said| result(said, text("stolen"))).await;
    for code in [301, 302, 303, 307, 308] {
        let location = format!("location: {}\r\n", elsewhere.url);
        let (error, _) = told(move |_| status(code, &location, "")).await;
        assert_eq!(error, Some("redirected"), "{code}");
    }
    assert!(elsewhere.said().is_empty(), "nobody went there");
    let url = elsewhere.url.clone();
    let server = Hostile::start(move |_| status(307, &format!("location: {url}\r\n"), "")).await;
    let error = list(&at(&server.url, None)).await.unwrap_err();
    assert_eq!(error.code(), "redirected");
    assert!(elsewhere.said().is_empty());
}

#[tokio::test]
async fn a_private_address_is_not_asked() {
    for url in [
        "http://10.0.0.1/mcp",
        "http://169.254.169.254/mcp",
        "http://[::ffff:10.0.0.1]/",
    ] {
        let error = list(&at(url, None)).await.unwrap_err();
        assert_eq!(error.code(), "address_forbidden", "{url}");
        let outcome = call(&at(url, Some("2025-11-25")), json!({})).await;
        assert_eq!(outcome.error, Some("address_forbidden"));
    }
}

#[tokio::test]
async fn what_is_too_long_is_not_read_to_its_end() {
    let long = "x".repeat(300 * 1024);
    let in_json = json!({"jsonrpc": "2.0", "id": 1, "result": text(&long)});
    let one_line = format!("{EVENTS}data: {in_json}\n\n");
    assert_eq!(
        told(move |_| json_reply(&in_json)).await.0,
        Some("answer_broken")
    );
    let one_line = one_line.into_bytes();
    let (error, _) = told(move |_| Reply::Pieces(vec![one_line.clone()])).await;
    assert_eq!(error, Some("answer_broken"));

    // Without end, in a line, in events, in comments, and as JSON.
    for (head, again) in [
        (
            EVENTS,
            "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (
            EVENTS,
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n",
        ),
        (
            EVENTS,
            ": nothing to see here, and there, and anywhere else either\n",
        ),
        (EVENTS, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\n"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":\"",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
    ] {
        let started = Instant::now();
        let reply = move |_: &Said| {
            Reply::Endless(head.as_bytes().to_vec(), again.repeat(100).into_bytes())
        };
        let (error, content) = told(reply).await;
        assert!(
            matches!(error, Some("answer_broken" | "protocol")),
            "{content}"
        );
        assert!(started.elapsed() < Duration::from_secs(15), "{again}");
    }
}

#[tokio::test]
async fn a_compressed_bomb_counts_as_what_it_is() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![b' '; 10_000_000]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 20_000);
    let (error, _) = told(move |_| {
        let length = bomb.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
        Reply::Whole([head.as_bytes(), &bomb].concat())
    })
    .await;
    assert_eq!(error, Some("answer_broken"));
}

#[tokio::test]
async fn a_server_that_asks_without_end_is_answered_a_few_times() {
    let server = with_sessions(|said| {
        (said.method() == "tools/call").then(|| {
            let ping = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\n\n";
            Reply::Endless(EVENTS.as_bytes().to_vec(), ping.as_bytes().to_vec())
        })
    })
    .await;
    let outcome = call(&at(&server.url, Some("2025-11-25")), json!({})).await;
    assert_eq!(outcome.error, Some("protocol"));
    let answers = methods(&server.said());
    let answers = answers.iter().filter(|it| *it == "answer").count();
    assert_eq!(answers, 8);
}

#[tokio::test]
async fn a_session_with_an_unfit_name_is_not_used() {
    for name in ["with space", &"x".repeat(1_025), ""] {
        let name = name.to_owned();
        let server = Hostile::start(move |said| opened(said, "2025-11-25", &name)).await;
        let outcome = call(&at(&server.url, Some("2025-11-25")), json!({})).await;
        assert_eq!(outcome.error, Some("protocol"));
        assert_eq!(methods(&server.said()), ["initialize"]);
    }
}

#[tokio::test]
async fn an_error_that_repeats_the_key_is_freed_of_it_and_bounded() {
    let (error, content) = told(|said| {
        let message = format!("bad key {KEY}\n{}", "and so on ".repeat(1_000));
        let error = json!({"code": -32603, "message": message});
        super::server::refused(200, said, error)
    })
    .await;
    assert_eq!(error, Some("refused"));
    assert!(
        content.starts_with("The tool refused: bad key [secret] and so on"),
        "{content}"
    );
    assert!(content.len() < 600);
}

#[tokio::test]
async fn an_error_without_a_number_is_an_answer() {
    let (error, content) = told(|_| {
        let body =
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "unread"}});
        json_reply(&body)
    })
    .await;
    assert_eq!(
        (error, content.as_str()),
        (Some("refused"), "The tool refused: unread")
    );
}

#[tokio::test]
async fn an_answer_may_come_twice_and_the_first_counts() {
    let (error, content) = told(|said| {
        let answer = |it: &str| json!({"jsonrpc": "2.0", "id": said.id(), "result": text(it)});
        super::server::events(&[answer("first"), answer("second")])
    })
    .await;
    assert_eq!((error, content.as_str()), (None, "first"));
}

/// The time is the contract here: a call is over within 20 s whatever its server does.
#[tokio::test]
async fn silence_ends_and_the_server_is_told() {
    let silent: [fn() -> Reply; 2] = [
        || Reply::Hanging(Vec::new()),
        || Reply::Hanging(EVENTS.as_bytes().to_vec()),
    ];
    let calls = silent.map(|reply| async move {
        let server = with_sessions(move |said| (said.method() == "tools/call").then(reply)).await;
        let started = Instant::now();
        let outcome = call(&at(&server.url, Some("2025-11-25")), json!({})).await;
        let took = started.elapsed();
        assert_eq!(outcome.error, Some("timeout"), "{}", outcome.content);
        assert!(
            took > Duration::from_secs(18) && took < Duration::from_secs(26),
            "{took:?}"
        );
        let said = methods(&server.said());
        assert_eq!(said[3..], ["notifications/cancelled", "DELETE"]);
    });
    let listing = async {
        let server = Hostile::start(|_| Reply::Hanging(Vec::new())).await;
        let started = Instant::now();
        let error = list(&at(&server.url, None)).await.unwrap_err();
        assert_eq!(error.code(), "connection_timeout");
        assert!(started.elapsed() < Duration::from_secs(14));
        assert_eq!(methods(&server.said()), ["server/discover", "initialize"]);
    };
    let [one, other] = calls;
    tokio::join!(one, other, listing);
}

#[tokio::test]
async fn drips_do_not_buy_time() {
    let server = Hostile::start(|_| {
        let drip = (0..3_000).map(|_| b": x\n".to_vec());
        let pieces = std::iter::once(EVENTS.as_bytes().to_vec()).chain(drip);
        Reply::Pieces(pieces.collect())
    })
    .await;
    let started = Instant::now();
    let listed: Result<Value, _> = list(&at(&server.url, Some("2026-07-28")))
        .await
        .map(|_| Value::Null);
    assert!(listed.is_err());
    assert!(started.elapsed() < Duration::from_secs(14));
}
