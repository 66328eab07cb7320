//! Calls of HTTP tools, over real sockets.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use stoa_domain::{ToolEffect, ToolMethod};
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_tools::Outcome;
use stoa_tools::http::{Description, HttpTool};
use stoa_tools::reply::{MOST_READ, MOST_TOLD};
use uuid::Uuid;

use crate::support::{Reply, Server};

fn description(url: String) -> Description {
    Description {
        name: "find_order".into(),
        description: "Finds an order.".into(),
        method: ToolMethod::Get,
        effect: ToolEffect::Read,
        url,
        headers: [].into(),
        parameters: json!({ "type": "object", "properties": { "id": { "type": "string" } } }),
        timeout_ms: 2_000,
    }
}

fn tool(description: Description) -> HttpTool {
    HttpTool::parse(description).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn loopback() -> Outbound {
    Outbound::new(AddressPolicy::loopback())
}

/// What comes of a GET that is answered so.
async fn outcome_of(reply: Reply) -> Outcome {
    let server = Server::start(reply).await;
    let tool = tool(description(server.at("/orders/{id}")));
    tool.call(&loopback(), &object(json!({ "id": "7" })), None)
        .await
}

#[tokio::test]
async fn arguments_go_into_the_address_and_the_query() {
    let server = Server::start(Reply::json(r#"{"state":"sent"}"#)).await;
    let mut it = description(server.at("/orders/{id}?v=2&full={full}"));
    it.parameters = json!({ "properties": {
        "id": { "type": "string" }, "full": { "type": "boolean" },
        "tags": { "type": "array", "items": { "type": "string" } },
        "page": { "type": "integer" }, "none": {} } });
    it.headers = [("X-Key".to_owned(), "abcdefgh".to_owned())].into();
    let input = object(json!({ "id": "a/b", "tags": ["x&y", "z"], "page": 2, "none": null }));
    let outcome = tool(it).call(&loopback(), &input, None).await;
    assert_eq!(outcome, Outcome::done(r#"{"state":"sent"}"#.into()));
    let seen = server.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].line,
        "GET /orders/a%2Fb?v=2&page=2&tags=x%26y&tags=z HTTP/1.1"
    );
    assert_eq!(seen[0].header("x-key"), Some("abcdefgh"));
    assert_eq!(seen[0].header("idempotency-key"), None);
    assert_eq!(seen[0].body, "");
}

#[tokio::test]
async fn arguments_go_into_a_body_of_json_and_a_write_has_a_key() {
    for method in [
        ToolMethod::Post,
        ToolMethod::Put,
        ToolMethod::Patch,
        ToolMethod::Delete,
    ] {
        let server = Server::start(Reply::json("{}")).await;
        let mut it = description(server.at("/orders/{id}/notes"));
        (it.method, it.effect) = (method, ToolEffect::Write);
        it.parameters =
            json!({ "properties": { "id": { "type": "string" }, "note": { "type": "string" } } });
        let key = Uuid::from_u128(7);
        let input = object(json!({ "id": "7", "note": "é\"\n" }));
        let outcome = tool(it).call(&loopback(), &input, Some(key)).await;
        assert_eq!(outcome.error, None);
        let seen = &server.requests()[0];
        assert_eq!(
            seen.header("idempotency-key"),
            Some(key.to_string().as_str())
        );
        if method == ToolMethod::Delete {
            assert_eq!(
                seen.line,
                "DELETE /orders/7/notes?note=%C3%A9%22%0A HTTP/1.1"
            );
            assert_eq!(seen.body, "");
        } else {
            assert_eq!(seen.line, format!("{method} /orders/7/notes HTTP/1.1"));
            assert_eq!(seen.header("content-type"), Some("application/json"));
            assert_eq!(seen.body, "{\"note\":\"é\\\"\\n\"}");
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent() {
    let server = Server::start(Reply::json("{}")).await;
    let mut it = description(server.at("/orders/{id}?v=2"));
    it.parameters = json!({ "properties": {
        "id": { "type": "string", "maxLength": 5 }, "filter": { "type": "object" } } });
    let tool = tool(it);
    for (input, field) in [
        (json!({}), "id: is missing"),
        (json!({ "id": 7 }), "id: must be string"),
        (json!({ "id": "123456" }), "id: must have at most 5"),
        (json!({ "id": ".." }), "id: stands in an address"),
        (json!({ "id": "" }), "id: stands in an address"),
        (
            json!({ "id": "1", "admin": true }),
            "admin: is not an argument",
        ),
        (json!({ "id": "1", "v": "3" }), "v: is not an argument"),
        (
            json!({ "id": "1", "filter": {} }),
            "filter: stands in an address",
        ),
    ] {
        let outcome = tool.call(&loopback(), &object(input), None).await;
        assert_eq!(outcome.error, Some("invalid_arguments"));
        assert!(outcome.content.contains(field), "{}", outcome.content);
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_repeats_the_request_gives_no_secret_away() {
    let server = Server::start(Reply::Echo).await;
    let secret = "sk-live-0123456789/+abc";
    let mut it = description(server.at("/hooks/T0123456789ABCDEF/{id}?api_key=q4e8s2f6"));
    it.headers = [
        ("Authorization".to_owned(), format!("Bearer {secret}")),
        (
            "Cookie".to_owned(),
            "sid=c00k1e-s3cret; theme=dark".to_owned(),
        ),
    ]
    .into();
    let outcome = tool(it)
        .call(&loopback(), &object(json!({ "id": "visible" })), None)
        .await;
    assert_eq!(outcome.error, None);
    let said = &outcome.content;
    for hidden in [
        secret,
        "c00k1e-s3cret",
        "q4e8s2f6",
        "T0123456789ABCDEF",
        "sk-live-0123456789%2F%2Babc",
        "c2stbGl2ZS0wMTIzNDU2Nzg5LythYm",
    ] {
        assert!(!said.contains(hidden), "{hidden} in {said}");
    }
    assert!(
        said.contains("visible") && said.contains("[secret]"),
        "{said}"
    );
    // The server was told them all the same.
    let seen = &server.requests()[0];
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Bearer {secret}").as_str())
    );
}

#[tokio::test]
async fn a_secret_is_gone_from_the_words_of_a_failure_too() {
    let server = Server::start(Reply::Whole {
        status: "401 Unauthorized",
        headers: "content-type: text/plain\r\n",
        body: b"no such key: hunter22hunter22\x1b[31m".to_vec(),
    })
    .await;
    let mut it = description(server.at("/{id}"));
    it.headers = [("X-Key".to_owned(), "hunter22hunter22".to_owned())].into();
    let outcome = tool(it)
        .call(&loopback(), &object(json!({ "id": "a" })), None)
        .await;
    assert_eq!(outcome.error, Some("http_status"));
    assert_eq!(
        outcome.content,
        "The tool's server answered 401 Unauthorized:\nno such key: [secret][31m"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(Reply::json("{}")).await;
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("location: {}\r\n", elsewhere.at("/steal"));
        let outcome = outcome_of(Reply::Whole {
            status,
            headers: Box::leak(location.into_boxed_str()),
            body: Vec::new(),
        })
        .await;
        assert_eq!(outcome.error, Some("redirected"));
        assert_eq!(
            outcome.content,
            "The tool's server redirects, which is not followed."
        );
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_slow_server_is_hung_up_on() {
    for reply in [Reply::Silence, Reply::Drip] {
        let server = Server::start(reply).await;
        let mut it = description(server.at("/{id}"));
        it.timeout_ms = 1_000;
        let begun = Instant::now();
        let outcome = tool(it)
            .call(&loopback(), &object(json!({ "id": "a" })), None)
            .await;
        assert_eq!(outcome.error, Some("timeout"), "{}", outcome.content);
        assert!(
            outcome.content.contains("is not known"),
            "{}",
            outcome.content
        );
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_huge_answer_is_read_and_told_in_part() {
    let outcome = outcome_of(Reply::Endless).await;
    assert_eq!(outcome.error, None);
    assert!(outcome.content.len() <= MOST_TOLD);
    assert!(outcome.content.ends_with("longer than 16 KiB.]"));
    // One that announces its length is no different, nor is one that is compressed.
    let text = "é".repeat(MOST_READ);
    let whole = outcome_of(Reply::text(&text)).await;
    assert!(whole.content.starts_with("éé") && whole.content.ends_with("longer than 16 KiB.]"));
    let bomb = outcome_of(Reply::gzip(&vec![b'a'; 8 * 1024 * 1024])).await;
    assert_eq!(bomb.error, None);
    assert!(bomb.content.len() <= MOST_TOLD && bomb.content.starts_with("aaa"));
}

#[tokio::test]
async fn half_a_secret_at_the_end_of_what_was_read_is_not_told() {
    // Taking secrets out makes the text so short that its end would be told.
    let secret = "s3cr3t-".repeat(200);
    let server = Server::start(Reply::text(&secret.repeat(MOST_READ / secret.len() + 1))).await;
    let mut it = description(server.at("/{id}"));
    it.headers = [("X-Key".to_owned(), secret)].into();
    let outcome = tool(it)
        .call(&loopback(), &object(json!({ "id": "a" })), None)
        .await;
    assert!(outcome.content.starts_with("[secret][secret]"));
    assert!(
        !outcome.content.contains("s3cr3t-s3cr3t-s3cr3t"),
        "{}",
        outcome.content
    );
}

#[tokio::test]
async fn what_is_not_text_is_named_and_not_told() {
    let outcome = outcome_of(Reply::Whole {
        status: "200 OK",
        headers: "content-type: application/pdf\r\n",
        body: b"%PDF-1.7 secret words".to_vec(),
    })
    .await;
    assert_eq!(outcome.error, Some("not_text"));
    assert_eq!(
        outcome.content,
        "The tool's server answered with application/pdf, 21 bytes, which is not text and was not read."
    );
    let nameless = outcome_of(Reply::Whole {
        status: "200 OK",
        headers: "",
        body: b"GIF89a\0\0".to_vec(),
    })
    .await;
    assert_eq!(nameless.error, Some("not_text"));
}

#[tokio::test]
async fn a_failure_is_told_with_its_words() {
    let outcome = outcome_of(Reply::Whole {
        status: "500 Internal Server Error",
        headers: "content-type: application/problem+json\r\n",
        body: br#"{"detail":"try again tomorrow"}"#.to_vec(),
    })
    .await;
    assert_eq!(outcome.error, Some("http_status"));
    assert_eq!(
        outcome.content,
        "The tool's server answered 500 Internal Server Error:\n{\"detail\":\"try again tomorrow\"}"
    );
    let silent = outcome_of(Reply::Whole {
        status: "404 Not Found",
        headers: "",
        body: Vec::new(),
    })
    .await;
    assert_eq!(silent.content, "The tool's server answered 404 Not Found.");
    let empty = outcome_of(Reply::Whole {
        status: "204 No Content",
        headers: "",
        body: Vec::new(),
    })
    .await;
    assert_eq!(
        empty,
        Outcome::done("The tool's server answered 204 No Content, without words.".into())
    );
}

#[tokio::test]
async fn words_in_another_encoding_are_read() {
    let outcome = outcome_of(Reply::Whole {
        status: "200 OK",
        headers: "content-type: text/plain; charset=\"iso-8859-1\"\r\n",
        body: b"Gr\xfc\xdfe".to_vec(),
    })
    .await;
    assert_eq!(outcome, Outcome::done("Grüße".into()));
}

#[tokio::test]
async fn where_nobody_may_call_nothing_is_sent() {
    let server = Server::start(Reply::json("{}")).await;
    let strict = Outbound::new(AddressPolicy::default());
    let private = tool(description(server.at("/{id}")));
    assert_eq!(
        private.judge(&strict).unwrap_err().code(),
        "address_forbidden"
    );
    let outcome = private
        .call(&strict, &object(json!({ "id": "a" })), None)
        .await;
    assert_eq!(
        outcome.error,
        Some("address_forbidden"),
        "{}",
        outcome.content
    );
    // A name that leads there is found out when it is resolved.
    let named = server
        .at("/{id}")
        .replace("127.0.0.1", "localhost")
        .replace("http:", "https:");
    let named = tool(description(named));
    assert!(named.judge(&strict).is_ok());
    let outcome = named
        .call(&strict, &object(json!({ "id": "a" })), None)
        .await;
    assert_eq!(
        outcome.error,
        Some("address_forbidden"),
        "{}",
        outcome.content
    );
    let clear = tool(description("http://example.com/{id}".into()));
    assert_eq!(clear.judge(&strict).unwrap_err().code(), "not_encrypted");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn what_does_not_answer_is_told_apart_from_what_may_have_acted() {
    let gone = Server::start(Reply::Silence).await.gone().await;
    let outcome = tool(description(gone))
        .call(&loopback(), &object(json!({ "id": "a" })), None)
        .await;
    assert_eq!(outcome.error, Some("unreachable"), "{}", outcome.content);
    let outcome = outcome_of(Reply::HangUp).await;
    assert_eq!(outcome.error, Some("answer_broken"), "{}", outcome.content);
    assert!(
        outcome.content.contains("is not known"),
        "{}",
        outcome.content
    );
}
