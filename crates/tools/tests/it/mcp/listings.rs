//! Listings: both ways of speaking, pages, and what is left out.

use serde_json::{Value, json};

use super::server::{Said, refused, result, stateless, status, with_sessions};
use super::{KEY, at, list, methods, tool};

fn names(listing: &stoa_tools::mcp::Listing) -> Vec<&str> {
    listing.tools.iter().map(|it| it.name.as_str()).collect()
}

#[tokio::test]
async fn a_server_without_sessions_is_found_out_and_asked() {
    let server = stateless(|_| None).await;
    let listing = list(&at(&server.url, None)).await.unwrap();
    assert_eq!(
        (listing.version, names(&listing)),
        ("2026-07-28", vec!["echo"])
    );
    let said = server.said();
    assert_eq!(methods(&said), ["server/discover", "tools/list"]);
    for asked in &said {
        assert_eq!(asked.header("mcp-protocol-version"), "2026-07-28");
        assert_eq!(asked.header("mcp-method"), asked.method());
        assert_eq!(asked.header("authorization"), KEY);
        assert_eq!(
            asked.header("accept"),
            "application/json, text/event-stream"
        );
        let meta = &asked.body["params"]["_meta"];
        assert_eq!(
            meta["io.modelcontextprotocol/protocolVersion"],
            "2026-07-28"
        );
        assert_eq!(
            meta["io.modelcontextprotocol/clientCapabilities"],
            json!({})
        );
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "stoa");
    }
    // Whoever knows already does not ask again.
    list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    assert_eq!(methods(&server.said()[2..]), ["tools/list"]);
}

#[tokio::test]
async fn a_server_with_sessions_is_found_out_and_its_session_ended() {
    let server = with_sessions(|_| None).await;
    let listing = list(&at(&server.url, None)).await.unwrap();
    assert_eq!(
        (listing.version, names(&listing)),
        ("2025-11-25", vec!["echo"])
    );
    let said = server.said();
    let expected = [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
        "DELETE",
    ];
    assert_eq!(methods(&said), expected);
    assert_eq!(said[1].header("mcp-session-id"), "");
    assert_eq!(said[1].body["params"]["protocolVersion"], "2025-11-25");
    assert_eq!(said[1].body["params"]["capabilities"], json!({}));
    for asked in &said[2..] {
        assert_eq!(asked.header("mcp-session-id"), "session-1");
        assert_eq!(asked.header("mcp-protocol-version"), "2025-11-25");
        assert_eq!(asked.header("authorization"), KEY);
        assert_eq!(
            asked.body.get("params").and_then(|it| it.get("_meta")),
            None
        );
    }
}

#[tokio::test]
async fn older_versions_are_spoken_and_unknown_ones_are_not() {
    for (version, known) in [
        ("2025-06-18", true),
        ("2025-03-26", true),
        ("2024-11-05", true),
        ("1999-01-01", false),
    ] {
        let server = with_sessions(move |said| {
            let is_opening = said.method() == "initialize";
            is_opening.then(|| super::server::opened(said, version, "session-1"))
        })
        .await;
        let listed = list(&at(&server.url, Some("2025-11-25"))).await;
        let said = server.said();
        match listed {
            Ok(listing) => assert_eq!((listing.version, known), (version, true)),
            Err(error) => assert_eq!((error.code(), known), ("version_unknown", false)),
        }
        assert_eq!(said.last().unwrap().method(), "DELETE", "{version}");
    }
}

#[tokio::test]
async fn a_server_of_versions_to_come_is_told_from_an_old_one() {
    let server = stateless(|said| {
        let error = json!({"code": -32022, "message": "Unsupported protocol version",
            "data": {"supported": ["2031-01-01"], "requested": "2026-07-28"}});
        Some(refused(400, said, error))
    })
    .await;
    let error = list(&at(&server.url, None)).await.unwrap_err();
    assert_eq!(error.code(), "version_unknown");
    assert_eq!(methods(&server.said()), ["server/discover"]);
}

#[tokio::test]
async fn a_server_that_changed_its_ways_is_found_out_again() {
    let server = with_sessions(|_| None).await;
    let listing = list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    assert_eq!(listing.version, "2025-11-25");
    let server = stateless(|said| {
        let error = json!({"code": -32022, "message": "no", "data": {"supported": ["2026-07-28"]}});
        (said.method() == "initialize").then(|| refused(400, said, error))
    })
    .await;
    let listing = list(&at(&server.url, Some("2025-11-25"))).await.unwrap();
    assert_eq!(listing.version, "2026-07-28");
}

#[tokio::test]
async fn a_lost_session_is_opened_anew_once() {
    for times in [1, 2] {
        let lost = std::sync::atomic::AtomicUsize::new(0);
        let server = with_sessions(move |said| {
            let is_listing = said.method() == "tools/list";
            let losses = std::sync::atomic::Ordering::SeqCst;
            (is_listing && lost.fetch_add(1, losses) < times).then(|| status(404, "", ""))
        })
        .await;
        let listed = list(&at(&server.url, Some("2025-11-25"))).await;
        match times {
            1 => assert_eq!(names(&listed.unwrap()), ["echo"]),
            _ => assert_eq!(listed.unwrap_err().code(), "session_lost"),
        }
        let opened = methods(&server.said());
        let opened = opened.iter().filter(|it| *it == "initialize").count();
        assert_eq!(opened, 2);
    }
}

fn page_of(said: &Said) -> usize {
    let cursor = said.body["params"]["cursor"].as_str();
    cursor.map_or(0, |it| it.parse().unwrap())
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let server = stateless(|said| {
        (said.method() == "tools/list").then(|| {
            let page = page_of(said);
            let mut list = json!({"tools": [tool(&format!("tool_{page}"))]});
            if page < 2 {
                list["nextCursor"] = json!((page + 1).to_string());
            }
            result(said, list)
        })
    })
    .await;
    let listing = list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    assert_eq!(names(&listing), ["tool_0", "tool_1", "tool_2"]);
    assert_eq!(listing.left_out, []);
}

#[tokio::test]
async fn there_is_an_end_to_pages_and_to_tools() {
    // Pages without end.
    let server = stateless(|said| {
        (said.method() == "tools/list").then(|| {
            let page = page_of(said);
            result(said, json!({"tools": [tool(&format!("tool_{page}"))], "nextCursor": (page + 1).to_string()}))
        })
    })
    .await;
    let listing = list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    assert_eq!(listing.tools.len(), 16);
    assert_eq!(server.said().len(), 16);
    assert_eq!(listing.left_out.last().unwrap().reason, "too_many");

    // 10,000 tools, in pages of 500.
    let server = stateless(|said| {
        (said.method() == "tools/list").then(|| {
            let page = page_of(said);
            let tools: Vec<Value> = (0..500)
                .map(|it| tool(&format!("t{}", page * 500 + it)))
                .collect();
            let mut list = json!({"tools": tools});
            if page < 19 {
                list["nextCursor"] = json!((page + 1).to_string());
            }
            result(said, list)
        })
    })
    .await;
    let listing = list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    assert_eq!(listing.tools.len(), 128);
    assert_eq!(listing.left_out.len(), 20);
    assert_eq!(server.said().len(), 1, "what is not kept is not asked for");

    // 10,000 tools at once are more than is read.
    let server = stateless(|said| {
        let tools: Vec<Value> = (0..10_000).map(|it| tool(&format!("t{it}"))).collect();
        (said.method() == "tools/list").then(|| result(said, json!({"tools": tools})))
    })
    .await;
    let error = list(&at(&server.url, Some("2026-07-28")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "body_too_large");
}

#[tokio::test]
async fn what_is_not_fit_is_left_out_and_named() {
    let server = stateless(|said| {
        (said.method() == "tools/list").then(|| {
            let schema = |schema: Value| json!({"name": "x", "inputSchema": schema});
            let named = |name: &str, mut tool: Value| {
                tool["name"] = json!(name);
                tool
            };
            let big = json!({"type": "object", "description": "x".repeat(16 * 1024)});
            let marked = json!({"type": "object", "properties": {
                "a": {"type": "number", "x-mcp-header": "A"}}});
            let tools = json!([
                {"name": "fine", "title": "In short", "inputSchema": {"type": "object"},
                 "annotations": {"readOnlyHint": true}},
                {"name": "long", "description": "é".repeat(4_000), "inputSchema": {}},
                {"name": "fine", "inputSchema": {"type": "object"}},
                {"name": "two words", "inputSchema": {}},
                {"name": "a".repeat(129), "inputSchema": {}},
                {"name": format!("has-{KEY}").replace(' ', "-"), "inputSchema": {}},
                {"inputSchema": {}},
                7,
                {"name": "task", "inputSchema": {}, "execution": {"taskSupport": "required"}},
                named("no_schema", json!({})),
                named("wrong_schema", schema(json!({"type": "string"}))),
                named("marked", schema(marked)),
                named("nul", schema(json!({"type": "object", "title": "\0"}))),
                named("big", schema(big)),
            ]);
            result(said, json!({"tools": tools}))
        })
    })
    .await;
    let listing = list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    assert_eq!(names(&listing), ["fine", "long"]);
    assert_eq!(listing.tools[0].description, "In short");
    assert_eq!(
        [true, false],
        [listing.tools[0].read_only, listing.tools[1].read_only]
    );
    assert_eq!(listing.tools[1].description.len(), 2 * 1024);
    let left: Vec<(&str, &str)> = listing
        .left_out
        .iter()
        .map(|it| (it.name.as_str(), it.reason))
        .collect();
    let expected = [
        ("fine", "twice"),
        ("", "name"),
        ("", "name"),
        ("", "name"),
        ("", "name"),
        ("", "name"),
        ("task", "task"),
        ("no_schema", "parameters"),
        ("wrong_schema", "parameters"),
        ("marked", "parameters"),
        ("nul", "parameters"),
        ("big", "too_large"),
    ];
    assert_eq!(left, expected);
}

#[tokio::test]
async fn a_key_that_stands_in_a_description_or_a_schema_is_taken_out() {
    let server = stateless(|said| {
        let token = said.header("authorization").to_owned();
        let token = token.strip_prefix("Bearer ").unwrap_or_default();
        (said.method() == "tools/list").then(|| {
            let schema = json!({"type": "object", "properties": {token: {"default": token}}});
            let tool = json!({"name": "leak", "description": format!("Say {token}"), "inputSchema": schema});
            result(said, json!({"tools": [tool]}))
        })
    })
    .await;
    let listing = list(&at(&server.url, Some("2026-07-28"))).await.unwrap();
    let tool = &listing.tools[0];
    assert_eq!(tool.description, "Say [secret]");
    assert_eq!(
        tool.parameters.as_value()["properties"],
        json!({"[secret]": {"default": "[secret]"}})
    );
}
