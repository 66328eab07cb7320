//! Tools: described by the client, called where the client said, with secrets that never come out.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_app::tools::Offered;
use stoa_domain::InstanceId;

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, ToolServer, eventually, problem};

const SECRET: &str = "sk-tool-0123456789abcdef";

fn find_order(at: &str) -> Value {
    json!({
        "name": "find_order",
        "description": "Finds an order by its number.",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": { "type": "string", "pattern": "^[0-9/]+$" },
                "full": { "type": "boolean" },
            },
            "required": ["order_id"],
        },
        "method": "GET",
        "url": format!("{at}/orders/{{order_id}}?full={{full}}"),
        "headers": { "Authorization": format!("Bearer {SECRET}"), "X-Tenant": "acme-4711" },
    })
}

async fn add(server: &Server, client: &TestInstance, tool: &Value) -> Value {
    let request = server
        .client(&client.key, Method::POST, "/tools")
        .json(tool);
    expect(request, StatusCode::CREATED).await
}

fn path_of(tool: &Value) -> String {
    format!("/tools/{}", tool["id"].as_str().unwrap())
}

/// The names of the tools that a model would be told of by this replica.
async fn offered(server: &Server, client: &TestInstance) -> Vec<String> {
    let id: InstanceId = client.id.parse().unwrap();
    let registered = server.app.registered(id).await.unwrap().unwrap();
    let contents = server.app.contents(&registered).await.unwrap();
    let offered = contents.toolbox.offered(Offered::All);
    offered.into_iter().map(|tool| tool.name).collect()
}

#[tokio::test]
async fn a_tool_is_described_and_its_headers_never_come_out() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Tools").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let body = find_order("https://api.example.com");
    let added = add(&server, &client, &body).await;
    for field in ["name", "description", "parameters", "method", "url"] {
        assert_eq!(added[field], body[field], "{field}");
    }
    let headers = json!([
        { "name": "Authorization", "hint": "cdef" },
        { "name": "X-Tenant", "hint": "4711" },
    ]);
    assert_eq!(added["headers"], headers);
    assert_eq!(
        (
            &added["effect"],
            &added["timeout_ms"],
            &added["enabled"],
            &added["needs_url"]
        ),
        (&json!("read"), &json!(10_000), &json!(true), &json!(false))
    );
    let path = path_of(&added);
    assert_eq!(ok(call(Method::GET, &path)).await, added);
    let list = ok(call(Method::GET, "/tools?limit=1")).await;
    assert_eq!(list, json!({ "data": [added], "next_cursor": null }));
    assert!(!list.to_string().contains("sk-tool"), "{list}");

    // Left out stays; a header is changed or removed by its name.
    let changes = json!({
        "description": "Finds it.", "enabled": false, "timeout_ms": 1_500,
        "headers": { "authorization": "Bearer other-0000wxyz", "X-Tenant": null, "X-New": "new-header-1234" },
    });
    let changed = ok(call(Method::PATCH, &path).json(&changes)).await;
    assert_eq!(changed["description"], "Finds it.");
    assert_eq!(changed["name"], "find_order");
    let headers = json!([
        { "name": "X-New", "hint": "1234" },
        { "name": "authorization", "hint": "wxyz" },
    ]);
    assert_eq!(changed["headers"], headers);
    let bare = ok(call(Method::PATCH, &path).json(&json!({ "headers": null }))).await;
    assert_eq!(bare["headers"], json!([]));

    expect(call(Method::DELETE, &path), StatusCode::NO_CONTENT).await;
    for method in [Method::GET, Method::DELETE] {
        problem(sent(call(method, &path)).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn a_tool_is_called_where_it_says_and_its_secrets_are_not_repeated() {
    let (server, shop) = (Server::start().await, ToolServer::start().await);
    let client = TestInstance::create(&server, "Trials").await;
    let mut body = find_order(&shop.url);
    body["enabled"] = json!(false);
    let tool = add(&server, &client, &body).await;
    let test = async |tool: &Value, arguments: Value| {
        let path = format!("{}/test", path_of(tool));
        let request = server.client(&client.key, Method::POST, &path);
        ok(request.json(&json!({ "arguments": arguments }))).await
    };
    let tried = test(&tool, json!({ "order_id": "7/../8" })).await;
    assert_eq!(tried["outcome"]["error"], "invalid_arguments", "{tried}");
    let tried = test(&tool, json!({ "order_id": "7/8", "full": true })).await;
    assert_eq!(tried["ok"], true, "{tried}");
    let sent_to = json!({ "method": "GET", "host": "127.0.0.1", "path": "/orders/7%2F8" });
    assert_eq!(tried["request"], sent_to);
    assert!(tried["took_ms"].is_u64());
    let asked = shop.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].uri, "/orders/7%2F8?full=true");
    assert_eq!(
        asked[0].headers["authorization"],
        format!("Bearer {SECRET}")
    );
    assert!(!asked[0].headers.contains_key("idempotency-key"));
    // The server repeated everything, and that was taken out.
    let said = tried["outcome"]["content"].as_str().unwrap();
    assert!(said.contains("authorization: [secret]"), "{said}");
    assert!(
        !said.contains(SECRET) && !said.contains("acme-4711"),
        "{said}"
    );

    for (arguments, why) in [
        (json!({}), "order_id: is missing"),
        (
            json!({ "order_id": 7 }),
            "order_id: must be string, not number",
        ),
        (json!({ "order_id": "x" }), "order_id: must match"),
        (
            json!({ "order_id": "7", "admin": true }),
            "admin: is not an argument",
        ),
    ] {
        let tried = test(&tool, arguments).await;
        assert_eq!(tried["ok"], false);
        assert_eq!(tried["request"], Value::Null);
        assert_eq!(tried["outcome"]["error"], "invalid_arguments");
        let said = tried["outcome"]["content"].as_str().unwrap();
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(shop.asked().len(), 1, "nothing else was sent");

    let cancel = json!({
        "name": "cancel_order", "description": "Cancels an order.", "method": "POST",
        "url": format!("{}/orders/{{order_id}}/cancel", shop.url),
        "parameters": { "properties": { "order_id": { "type": "string" }, "reason": { "type": "string" } } },
    });
    let cancel = add(&server, &client, &cancel).await;
    assert_eq!(cancel["effect"], "write");
    for _ in 0..2 {
        let tried = test(&cancel, json!({ "order_id": "7", "reason": "late" })).await;
        assert_eq!(tried["ok"], true, "{tried}");
    }
    let asked = shop.asked();
    let (first, second) = (&asked[1], &asked[2]);
    assert_eq!(
        (first.method.as_str(), first.body.as_str()),
        ("POST", r#"{"reason":"late"}"#)
    );
    let key = |headers: &reqwest::header::HeaderMap| headers["idempotency-key"].clone();
    assert_ne!(
        key(&first.headers),
        key(&second.headers),
        "each test is a call of its own"
    );

    let gone = ok(server
        .client(&client.key, Method::PATCH, &path_of(&tool))
        .json(&json!({ "url": format!("{}/missing", shop.url) })));
    gone.await;
    let missing = test(&tool, json!({ "order_id": "7" })).await;
    assert_eq!(missing["outcome"]["error"], "http_status");
    let said = missing["outcome"]["content"].as_str().unwrap();
    assert!(
        said.starts_with("The tool's server answered 404 Not Found:\n"),
        "{said}"
    );
}

#[tokio::test]
async fn a_stored_header_goes_to_no_other_host() {
    let (server, shop, evil) = (
        Server::start().await,
        ToolServer::start().await,
        ToolServer::start().await,
    );
    let client = TestInstance::create(&server, "Hosts").await;
    let tool = add(&server, &client, &find_order(&shop.url)).await;
    let change = |changes: Value| {
        server
            .client(&client.key, Method::PATCH, &path_of(&tool))
            .json(&changes)
    };
    let elsewhere = format!("{}/orders/{{order_id}}", evil.url);
    for changes in [
        json!({ "url": elsewhere }),
        json!({ "url": elsewhere, "headers": {} }),
        json!({ "url": elsewhere, "headers": { "X-Tenant": "acme" } }),
    ] {
        let refused = problem(sent(change(changes)).await, 422, "headers_required").await;
        assert_eq!(refused["errors"][0]["field"], "headers");
    }
    // Another path on the same host is the client's to choose.
    let same = format!("{}/v2/orders/{{order_id}}", shop.url);
    let moved = ok(change(json!({ "url": same }))).await;
    assert_eq!(moved["headers"].as_array().unwrap().len(), 2);
    let headers = json!({ "Authorization": "Bearer for-evil-only", "X-Tenant": null });
    let moved = ok(change(json!({ "url": elsewhere, "headers": headers }))).await;
    assert_eq!(
        moved["headers"],
        json!([{ "name": "Authorization", "hint": "only" }])
    );
    let test = format!("{}/test", path_of(&tool));
    let test = server.client(&client.key, Method::POST, &test);
    ok(test.json(&json!({ "arguments": { "order_id": "7" } }))).await;
    assert_eq!(
        evil.asked()[0].headers["authorization"],
        "Bearer for-evil-only"
    );
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Fields").await;
    let good = find_order("https://api.example.com");
    let post = |body: &Value| {
        server
            .client(&client.key, Method::POST, "/tools")
            .json(body)
    };
    for (field, value) in [
        ("name", json!("find order")),
        ("name", json!("1st")),
        ("name", json!("a".repeat(41))),
        ("description", json!("")),
        ("description", json!("a".repeat(2_001))),
        ("method", json!("HEAD")),
        ("method", json!("get")),
        ("url", json!("https://{host}.example.com/{order_id}")),
        ("url", json!("https://user:pass@example.com/{order_id}")),
        ("url", json!("file:///etc/passwd")),
        ("url", json!("https://example.com/{order_id}#{full}")),
        ("headers", json!({ "Host": "evil.example" })),
        ("headers", json!({ "X-Key": "a\r\nX-Other: b" })),
        ("headers", json!({ "X-Key": 7 })),
        ("headers", json!(["X-Key"])),
        ("parameters", json!({ "type": "string" })),
        ("parameters", json!({ "properties": {} })),
        (
            "parameters",
            json!({ "properties": { "order_id": { "$ref": "https://evil.example/a.json" }, "full": {} } }),
        ),
        (
            "parameters",
            json!({ "properties": { "order_id": {}, "full": {} }, "description": "a".repeat(17_000) }),
        ),
        ("effect", json!("maybe")),
        ("timeout_ms", json!(999)),
        ("timeout_ms", json!(20_001)),
        ("enabled", json!("yes")),
        ("sealed", json!("x")),
        ("id", json!("018f0000-0000-7000-8000-000000000000")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let refused = problem(sent(post(&body)).await, 422, "invalid_body").await;
        let named = refused["errors"].to_string();
        assert!(named.contains(field), "{field} {value}: {named}");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let mut body = good.clone();
        (body["method"], body["effect"]) = (json!(method), json!("read"));
        let refused = problem(sent(post(&body)).await, 422, "invalid_body").await;
        assert_eq!(refused["errors"][0]["field"], "effect");
    }
    let mut searches = good.clone();
    (searches["method"], searches["effect"]) = (json!("POST"), json!("read"));
    assert_eq!(add(&server, &client, &searches).await["effect"], "read");
    let list = server.client(&client.key, Method::GET, "/tools");
    assert_eq!(ok(list).await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn where_nobody_may_call_is_refused_when_it_is_saved() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Private").await;
    let tool = add(&server, &client, &find_order("https://api.example.com")).await;
    for (url, code) in [
        ("https://10.0.0.1/orders/{order_id}", "address_forbidden"),
        (
            "http://169.254.169.254/latest/{order_id}",
            "address_forbidden",
        ),
        ("https://[fd00::1]/{order_id}", "address_forbidden"),
        ("https://2130706433.0/{order_id}", "invalid_body"),
        ("http://api.example.com/orders/{order_id}", "not_encrypted"),
    ] {
        let mut body = find_order("https://api.example.com");
        (body["name"], body["url"]) = (json!("other"), json!(format!("{url}?full={{full}}")));
        let request = server
            .client(&client.key, Method::POST, "/tools")
            .json(&body);
        let refused = problem(sent(request).await, 422, code).await;
        assert_eq!(refused["errors"][0]["field"], "url", "{refused}");
        let changes = json!({ "url": body["url"], "headers": null });
        let request = server.client(&client.key, Method::PATCH, &path_of(&tool));
        let refused = problem(sent(request.json(&changes)).await, 422, code).await;
        if code != "invalid_body" {
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains("STOA_ALLOWED_PRIVATE_HOSTS"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_name_is_one_tools_and_there_are_at_most_fifty() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Names").await;
    let named = |name: &str| {
        let mut body = find_order("https://api.example.com");
        body["name"] = json!(name);
        body
    };
    let post = |body: &Value| {
        server
            .client(&client.key, Method::POST, "/tools")
            .json(body)
    };
    let first = add(&server, &client, &named("first")).await;
    let taken = problem(sent(post(&named("first"))).await, 409, "name_taken").await;
    assert_eq!(taken["errors"][0]["field"], "name");
    for at in 2..=50 {
        add(&server, &client, &named(&format!("tool_{at}"))).await;
    }
    problem(sent(post(&named("one_more"))).await, 409, "too_many_tools").await;
    let rename = server.client(&client.key, Method::PATCH, &path_of(&first));
    let rename = rename.json(&json!({ "name": "tool_2" }));
    problem(sent(rename).await, 409, "name_taken").await;

    // In pages, each once.
    let mut seen = Vec::new();
    let mut path = "/tools?limit=20".to_owned();
    loop {
        let page = ok(server.client(&client.key, Method::GET, &path)).await;
        let names = page["data"].as_array().unwrap().iter();
        seen.extend(names.map(|it| it["name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/tools?limit=20&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 50);
    expect(
        server.client(&client.key, Method::DELETE, &path_of(&first)),
        StatusCode::NO_CONTENT,
    )
    .await;
    add(&server, &client, &named("one_more")).await;

    // What is sent twice is done once.
    let gone = server.client(&client.key, Method::DELETE, &path_of(&first));
    problem(sent(gone).await, 404, "not_found").await;
    let other = TestInstance::create(&server, "Twice").await;
    let twice = || {
        let request = server.client(&other.key, Method::POST, "/tools");
        request.header("idempotency-key", "k").json(&named("once"))
    };
    let added = expect(twice(), StatusCode::CREATED).await;
    assert_eq!(expect(twice(), StatusCode::CREATED).await, added);
}

#[tokio::test]
async fn every_replica_knows_a_changed_tool_within_a_second() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let client = TestInstance::create(&server, "Replicas").await;
    assert!(offered(&replica, &client).await.is_empty());
    let tool = add(&server, &client, &find_order("https://api.example.com")).await;
    let begun = Instant::now();
    eventually("the tool", async || {
        (offered(&replica, &client).await == ["find_order"]).then_some(())
    })
    .await;
    let change = server.client(&client.key, Method::PATCH, &path_of(&tool));
    ok(change.json(&json!({ "name": "order_of", "enabled": true }))).await;
    eventually("its other name", async || {
        (offered(&replica, &client).await == ["order_of"]).then_some(())
    })
    .await;
    let off = server.client(&client.key, Method::PATCH, &path_of(&tool));
    ok(off.json(&json!({ "enabled": false }))).await;
    eventually("no tool", async || {
        offered(&replica, &client).await.is_empty().then_some(())
    })
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}
