//! Calls: both ways of speaking, JSON and events, and what a server wants meanwhile.

use std::time::Duration;

use serde_json::{Value, json};
use stoa_tools::Outcome;

use super::server::{
    EVENTS, Reply, events, json_reply, refused, result, stateless, status, text, with_sessions,
};
use super::{KEY, at, call, call_given_up, methods};

fn hello() -> Outcome {
    Outcome::done("hello".to_owned())
}

#[tokio::test]
async fn a_call_without_sessions_is_one_request() {
    let server = stateless(|_| None).await;
    let known = at(&server.url, Some("2026-07-28"));
    assert_eq!(
        call(&known, json!({"region": "us-west1", "n": 1})).await,
        hello()
    );
    let said = server.said();
    assert_eq!(methods(&said), ["tools/call"]);
    assert_eq!(said[0].header("mcp-name"), "echo");
    assert_eq!(said[0].header("mcp-param-region"), "us-west1");
    assert_eq!(said[0].header("mcp-session-id"), "");
    let params = &said[0].body["params"];
    assert_eq!(
        (&params["name"], &params["arguments"]["n"]),
        (&json!("echo"), &json!(1))
    );
}

#[tokio::test]
async fn a_call_with_sessions_opens_one_and_ends_it() {
    let server = with_sessions(|_| None).await;
    let known = at(&server.url, Some("2025-11-25"));
    assert_eq!(call(&known, json!({})).await, hello());
    let expected = [
        "initialize",
        "notifications/initialized",
        "tools/call",
        "DELETE",
    ];
    assert_eq!(methods(&server.said()), expected);
}

#[tokio::test]
async fn a_server_need_not_keep_sessions_of_the_old_kind() {
    let server = stateless(|said| match said.method().as_str() {
        "initialize" => Some(result(
            said,
            json!({"protocolVersion": "2025-06-18", "capabilities": {}}),
        )),
        "notifications/initialized" => Some(status(202, "", "")),
        _ => None,
    })
    .await;
    assert_eq!(
        call(&at(&server.url, Some("2025-06-18")), json!({})).await,
        hello()
    );
    let said = server.said();
    assert_eq!(
        methods(&said),
        ["initialize", "notifications/initialized", "tools/call"]
    );
    assert_eq!(said[2].header("mcp-protocol-version"), "2025-06-18");
    assert_eq!(said[2].header("mcp-name"), "");
}

#[tokio::test]
async fn events_are_read_however_they_are_cut_and_ended() {
    for ending in ["\n", "\r\n", "\r"] {
        for size in [1, 7, 1_000] {
            let server = stateless(move |said| {
                (said.method() == "tools/call").then(|| {
                    let answer = json!({"jsonrpc": "2.0", "id": said.id(), "result": text("Grüße 🦀")});
                    let told = json!({"method": "notifications/progress", "params": {"progress": 1}});
                    let other = json!({"jsonrpc": "2.0", "id": 999, "result": text("another's")});
                    let answer = answer.to_string();
                    // An object may be cut between lines wherever JSON has room.
                    let answer = answer.replacen(',', ",\u{1}data: ", 1);
                    let lines = format!(
                        ": hello\u{1}id: 1\u{1}data:\u{1}\u{1}data: {told}\u{1}\u{1}event: other\u{1}data: x\u{1}\u{1}data: {other}\u{1}\u{1}event: message\u{1}data: {answer}\u{1}\u{1}"
                    );
                    let body = format!("{EVENTS}{}", lines.replace('\u{1}', ending));
                    Reply::Pieces(body.as_bytes().chunks(size).map(<[u8]>::to_vec).collect())
                })
            })
            .await;
            let outcome = call(&at(&server.url, Some("2026-07-28")), json!({})).await;
            assert_eq!(
                outcome,
                Outcome::done("Grüße 🦀".to_owned()),
                "{ending:?} {size}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_is_enough_and_the_stream_need_not_end() {
    let server = stateless(|said| {
        (said.method() == "tools/call").then(|| {
            let answer = json!({"jsonrpc": "2.0", "id": said.id(), "result": text("hello")});
            Reply::Hanging(format!("{EVENTS}data: {answer}\n\n").into_bytes())
        })
    })
    .await;
    let known = at(&server.url, Some("2026-07-28"));
    let answered = tokio::time::timeout(Duration::from_secs(5), call(&known, json!({}))).await;
    assert_eq!(answered.unwrap(), hello());
}

#[tokio::test]
async fn a_list_of_messages_is_read_as_march_2025_has_it() {
    let server = with_sessions(|said| match said.method().as_str() {
        "initialize" => Some(super::server::opened(said, "2025-03-26", "session-1")),
        "tools/call" => Some(json_reply(&json!([
            {"jsonrpc": "2.0", "method": "notifications/progress"},
            {"jsonrpc": "2.0", "id": said.id(), "result": text("hello")},
        ]))),
        _ => None,
    })
    .await;
    assert_eq!(
        call(&at(&server.url, Some("2025-03-26")), json!({})).await,
        hello()
    );
}

#[tokio::test]
async fn a_servers_ping_is_answered_and_whatever_else_it_wants_declined() {
    let server = with_sessions(|said| {
        (said.method() == "tools/call").then(|| {
            let wants =
                |id: Value, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
            events(&[
                wants(json!("s-1"), "ping"),
                wants(json!(2), "sampling/createMessage"),
                wants(json!(3), "elicitation/create"),
                wants(json!(4), "roots/list"),
                json!({"jsonrpc": "2.0", "id": said.id(), "result": text("hello")}),
            ])
        })
    })
    .await;
    assert_eq!(
        call(&at(&server.url, Some("2025-11-25")), json!({})).await,
        hello()
    );
    let said = server.said();
    let answers: Vec<&Value> = said
        .iter()
        .filter(|it| it.method() == "answer")
        .map(|it| &it.body)
        .collect();
    assert_eq!(answers.len(), 4);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["result"]),
        (&json!("s-1"), &json!({}))
    );
    for answer in &answers[1..] {
        assert_eq!(answer["error"]["code"], -32_601, "{answer}");
    }
}

#[tokio::test]
async fn a_call_is_sent_again_only_where_the_first_was_not_looked_at() {
    let lost = std::sync::atomic::AtomicBool::new(false);
    let server = with_sessions(move |said| {
        let is_call = said.method() == "tools/call";
        let first = is_call && !lost.swap(true, std::sync::atomic::Ordering::SeqCst);
        first.then(|| {
            refused(
                404,
                said,
                json!({"code": -32001, "message": "Session not found"}),
            )
        })
    })
    .await;
    assert_eq!(
        call(&at(&server.url, Some("2025-11-25")), json!({})).await,
        hello()
    );

    // A server that stopped to speak the newest version refuses what it does not understand.
    let server = with_sessions(|_| None).await;
    assert_eq!(
        call(&at(&server.url, Some("2026-07-28")), json!({})).await,
        hello()
    );

    for (code, error, told) in [
        (200, json!({"code": -32603, "message": "broken"}), "refused"),
        (
            400,
            json!({"code": -32602, "message": "no such tool"}),
            "refused",
        ),
        (
            400,
            json!({"code": -32020, "message": "Header mismatch"}),
            "tool_changed",
        ),
        (500, json!({"code": -32603, "message": "broken"}), "refused"),
    ] {
        let server = stateless(move |said| {
            (said.method() == "tools/call").then(|| refused(code, said, error.clone()))
        })
        .await;
        let outcome = call(&at(&server.url, Some("2026-07-28")), json!({})).await;
        assert_eq!(outcome.error, Some(told), "{code}");
        assert_eq!(methods(&server.said()), ["tools/call"]);
    }
}

/// Until the server has heard of a call.
async fn is_called(server: &super::server::Hostile) {
    while !server.said().iter().any(|it| it.method() == "tools/call") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_and_its_session_ended() {
    let hang = |said: &super::server::Said| {
        (said.method() == "tools/call").then(|| Reply::Hanging(EVENTS.as_bytes().to_vec()))
    };
    let server = with_sessions(hang).await;
    let known = at(&server.url, Some("2025-11-25"));
    let outcome = call_given_up(&known, json!({}), is_called(&server)).await;
    assert_eq!(outcome.error, Some("cancelled"));
    let said = server.said();
    let [.., called, cancelled, ended] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(cancelled.method(), "notifications/cancelled");
    assert_eq!(cancelled.body["params"]["requestId"], called.id());
    assert_eq!(ended.method(), "DELETE");

    // Without sessions, to hang up says it.
    let server = stateless(hang).await;
    let known = at(&server.url, Some("2026-07-28"));
    assert_eq!(
        call_given_up(&known, json!({}), is_called(&server))
            .await
            .error,
        Some("cancelled")
    );
    assert_eq!(methods(&server.said()), ["tools/call"]);
}

#[tokio::test]
async fn a_result_is_bounded_and_free_of_the_key() {
    let server = stateless(|said| {
        (said.method() == "tools/call").then(|| {
            let key = said.header("authorization");
            let long = format!("{key} {}{key}", "x".repeat(16 * 1024 - key.len() - 20));
            result(said, text(&format!("{long} and more")))
        })
    })
    .await;
    let outcome = call(&at(&server.url, Some("2026-07-28")), json!({})).await;
    assert_eq!(outcome.error, None);
    assert!(
        outcome.content.starts_with("[secret] xxx"),
        "{}",
        &outcome.content[..40]
    );
    assert!(outcome.content.len() <= 16 * 1024);
    assert!(!outcome.content.contains("key-"), "half a key is a key");
    assert!(!outcome.content.contains(KEY));
}

#[tokio::test]
async fn a_key_in_the_address_is_free_of_it_too() {
    let server = stateless(|said| {
        let path = said.head.split(' ').nth(1).unwrap_or_default().to_owned();
        (said.method() == "tools/call").then(|| result(said, text(&path)))
    })
    .await;
    let url = server
        .url
        .replace("/mcp", "/s/0123456789abcdef0123/mcp?key=fedcba98765432100");
    let outcome = call(&at(&url, Some("2026-07-28")), json!({})).await;
    assert_eq!(outcome.content, "/s/[secret]/mcp?key=[secret]");
}
