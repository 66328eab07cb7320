//! The console's pages of tools, as whoever runs a client's bot fills them in.

use serde_json::Value;

use super::{Desk, signed_in_client};
use crate::support::{TestInstance, ToolServer};

const SECRET: &str = "Bearer sk-tool-0123456789abcdef";
const PARAMETERS: &str = r#"{"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}"#;

const LIST: &str = "/console/acme/tools";
const NEW: &str = "/console/acme/tools/new";

/// The tools as the client API lists them.
async fn stored(desk: &Desk) -> Vec<Value> {
    let listed = desk.stored("/tools").await;
    listed["data"].as_array().expect("a list").clone()
}

/// A tool's form with some fields different.
fn form<'a>(url: &'a str, different: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("name", "find_order"),
        ("description", "Finds an order by its number."),
        ("method", "GET"),
        ("url", url),
        ("parameters", PARAMETERS),
        ("effect", "read"),
        ("timeout_ms", "5000"),
        ("enabled", "on"),
    ];
    let is_usual = |name: &str| !different.iter().any(|(other, _)| *other == name);
    let mut fields: Vec<_> = usual
        .into_iter()
        .filter(|(name, _)| is_usual(name))
        .collect();
    fields.extend_from_slice(different);
    fields
}

#[tokio::test]
async fn a_tool_is_described_tried_changed_and_removed() {
    let mut desk = Desk::new(LIST).await;
    let shop = ToolServer::start().await;
    let url = format!("{}/orders/{{order_id}}", shop.url);
    let empty = desk.open(LIST).await;
    assert!(
        empty.html.contains("The bot calls nothing yet"),
        "{}",
        empty.html
    );
    assert!(
        empty
            .html
            .contains(r#"<a href="/console/acme/tools" aria-current="page">Tools</a>"#)
    );
    assert_eq!(desk.open(NEW).await.status, 200);

    let header = [
        ("header_name_0", "Authorization"),
        ("header_value_0", SECRET),
    ];
    let path = desk.add(NEW, &form(&url, &header)).await;
    let page = desk.open(&format!("{path}?done=added")).await;
    assert!(page.html.contains("ends …cdef"), "{}", page.html);
    assert!(page.html.contains("Added."), "{}", page.html);
    assert!(!page.html.contains("sk-tool"), "{}", page.html);
    assert!(
        page.policy()
            .starts_with("default-src 'none'; script-src 'nonce-")
    );

    let arguments = [("arguments", r#"{"order_id": "7"}"#)];
    let tried = desk.send(&format!("{path}/try"), &arguments).await;
    assert_eq!(tried.status, 200);
    assert!(tried.html.contains("It answered in"), "{}", tried.html);
    assert!(tried.html.contains("/orders/7"), "{}", tried.html);
    assert!(
        !tried.html.contains("sk-tool"),
        "what it repeats is freed of secrets"
    );
    assert_eq!(shop.asked()[0].headers["authorization"], SECRET);

    // Whatever else is changed, a header whose field is left empty stays.
    let kept = [
        ("description", "Finds an order & says where it is."),
        ("header_name_0", "Authorization"),
        ("header_hint_0", "cdef"),
        ("header_value_0", ""),
        ("header_name_1", "X-Tenant"),
        ("header_value_1", "acme-4711"),
    ];
    let saved = desk.send(&path, &form(&url, &kept)).await;
    assert_eq!(
        (saved.status, saved.location),
        (303, format!("{path}?done=saved"))
    );
    let page = desk.open(&path).await;
    assert!(page.html.contains("ends …cdef") && page.html.contains("ends …4711"));
    assert!(
        page.html.contains("Finds an order &#38; says where it is."),
        "{}",
        page.html
    );
    desk.send(&format!("{path}/try"), &arguments).await;
    let asked = shop.asked().pop().unwrap();
    assert_eq!(asked.headers["authorization"], SECRET);
    assert_eq!(asked.headers["x-tenant"], "acme-4711");

    let replaced = [
        ("header_name_0", "Authorization"),
        ("header_hint_0", "cdef"),
        ("header_remove_0", "on"),
        ("header_name_1", "X-Tenant"),
        ("header_hint_1", "4711"),
        ("header_value_1", "other-1234"),
    ];
    assert_eq!(desk.send(&path, &form(&url, &replaced)).await.status, 303);
    desk.send(&format!("{path}/try"), &arguments).await;
    let asked = shop.asked().pop().unwrap();
    assert!(!asked.headers.contains_key("authorization"));
    assert_eq!(asked.headers["x-tenant"], "other-1234");

    let removal = format!("{path}/remove");
    assert!(
        desk.open(&removal)
            .await
            .html
            .contains("Remove find_order?")
    );
    let other = desk.send(&removal, &[("name", "find_orders")]).await;
    assert_eq!(other.status, 422);
    assert_eq!(stored(&desk).await.len(), 1, "nothing was removed");
    let removed = desk.send(&removal, &[("name", "find_order")]).await;
    assert_eq!(
        (removed.status, removed.location.as_str()),
        (303, "/console/acme/tools?done=removed")
    );
    assert!(stored(&desk).await.is_empty());
    assert_eq!(desk.open(&path).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field_and_what_was_typed_stays() {
    let mut desk = Desk::new(LIST).await;
    let url = "https://api.example.com/orders/{order_id}";
    let wrong = [
        ("name", "find order <b>"),
        ("method", "DELETE"),
        ("header_name_0", "Host"),
        ("header_value_0", SECRET),
        ("timeout_ms", "50"),
    ];
    let refused = desk.send(NEW, &form(url, &wrong)).await;
    assert_eq!(refused.status, 422);
    for field in ["name", "effect", "headers", "timeout_ms"] {
        assert!(
            refused.html.contains(&format!(r#"id="{field}-error""#)),
            "{field}: {}",
            refused.html
        );
        assert!(
            refused.html.contains(&format!(r##"<a href="#{field}">"##)),
            "{field}"
        );
    }
    assert!(
        !refused.html.contains(r#"id="url-error""#),
        "the address is right"
    );
    assert!(
        refused.html.contains("find order &#60;b&#62;"),
        "{}",
        refused.html
    );
    assert!(
        refused.html.contains(r#"<option selected>DELETE</option>"#),
        "{}",
        refused.html
    );
    assert!(refused.html.contains("type them again") && !refused.html.contains("sk-tool"));
    assert!(
        refused.html.contains("<title>Not saved: New tool"),
        "{}",
        refused.html
    );

    for (fields, at, says) in [
        (
            [("parameters", "{\"type\": "), ("name", "a")],
            "parameters",
            "line 1 column",
        ),
        (
            [("parameters", "[]"), ("name", "a")],
            "parameters",
            "a JSON object",
        ),
        (
            [("parameters", "{\"a\": \"\\u0000\"}"), ("name", "a")],
            "parameters",
            "NUL",
        ),
        (
            [("timeout_ms", "soon"), ("name", "a")],
            "timeout_ms",
            "whole number",
        ),
        (
            [("url", "http://api.example.com/"), ("name", "a")],
            "url",
            "https",
        ),
        (
            [("url", "https://10.0.0.1/{order_id}"), ("name", "a")],
            "url",
            "",
        ),
        (
            [("header_value_0", "v"), ("name", "a")],
            "headers",
            "without a name",
        ),
        (
            [("header_name_0", "X-Key"), ("name", "a")],
            "headers",
            "X-Key has no value",
        ),
    ] {
        let refused = desk.send(NEW, &form(url, &fields)).await;
        assert_eq!(refused.status, 422, "{fields:?}: {}", refused.html);
        let mark = format!(r#"id="{at}-error">"#);
        let (_, message) = refused
            .html
            .split_once(&mark)
            .unwrap_or_else(|| panic!("{fields:?}: {}", refused.html));
        assert!(
            message.split("</p>").next().unwrap().contains(says),
            "{says}: {message}"
        );
    }
    assert!(stored(&desk).await.is_empty(), "nothing was stored");

    desk.add(NEW, &form(url, &[])).await;
    let taken = desk.send(NEW, &form(url, &[])).await;
    assert_eq!(taken.status, 409);
    assert!(
        taken.html.contains("taken by another tool"),
        "{}",
        taken.html
    );
    let unknown = desk
        .send(
            NEW,
            &form(url, &[("id", "018f0000-0000-7000-8000-000000000000")]),
        )
        .await;
    assert_eq!(unknown.status, 422, "no field that the form does not have");
}

#[tokio::test]
async fn a_stored_header_goes_to_no_other_host() {
    let mut desk = Desk::new(LIST).await;
    let shop = ToolServer::start().await;
    let thief = ToolServer::start().await;
    let at = |server: &ToolServer| format!("{}/orders/{{order_id}}", server.url);
    let header = [
        ("header_name_0", "Authorization"),
        ("header_value_0", SECRET),
    ];
    let path = desk.add(NEW, &form(&at(&shop), &header)).await;
    let stored = ("header_hint_0", "cdef");
    let kept = [
        ("header_name_0", "Authorization"),
        stored,
        ("header_value_0", ""),
    ];
    let refused = desk.send(&path, &form(&at(&thief), &kept)).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.html.contains(r#"id="headers-error""#),
        "{}",
        refused.html
    );
    assert!(refused.html.contains(&thief.url), "what was typed stays");
    assert!(refused.html.contains("ends …cdef"));
    desk.send(
        &format!("{path}/try"),
        &[("arguments", r#"{"order_id": "1"}"#)],
    )
    .await;
    assert_eq!((shop.asked().len(), thief.asked().len()), (1, 0));
    let given = [
        ("header_name_0", "Authorization"),
        stored,
        ("header_value_0", "Bearer theirs-99"),
    ];
    assert_eq!(
        desk.send(&path, &form(&at(&thief), &given)).await.status,
        303
    );
}

#[tokio::test]
async fn a_try_says_what_came_of_it() {
    let mut desk = Desk::new(LIST).await;
    let shop = ToolServer::start().await;
    let url = format!("{}/orders/{{order_id}}", shop.url);
    let write = [("method", "POST"), ("effect", "write")];
    let path = desk.add(NEW, &form(&url, &write)).await;
    let page = desk.open(&path).await;
    assert!(
        page.html.contains("what the tool changes is changed"),
        "{}",
        page.html
    );
    assert!(
        page.html.contains("&#34;order_id&#34;: &#34;&#34;"),
        "arguments to begin with"
    );
    let attempt = format!("{path}/try");
    let cases = [
        (
            r#"{"order_id": 5}"#,
            200,
            "Nothing was sent (invalid_arguments)",
        ),
        (r#"{"order_id": "missing"}"#, 200, "It failed after"),
        ("order 5", 422, "this is no JSON"),
        ("[]", 422, "a JSON object"),
    ];
    for (arguments, status, says) in cases {
        let tried = desk.send(&attempt, &[("arguments", arguments)]).await;
        assert_eq!(tried.status, status, "{}", tried.html);
        assert!(tried.html.contains(says), "{says}: {}", tried.html);
    }
    assert_eq!(shop.asked().len(), 1, "what does not fit is not sent");
    // Switched off for the bot, it can still be tried.
    let mut off = form(&url, &write);
    off.retain(|(name, _)| *name != "enabled");
    assert_eq!(desk.send(&path, &off).await.status, 303);
    let list = desk.open(LIST).await;
    assert!(list.html.contains(">Off</span>"), "{}", list.html);
    desk.send(&attempt, &[("arguments", r#"{"order_id": "<script>"}"#)])
        .await;
    let shown = desk
        .send(&attempt, &[("arguments", r#"{"order_id": "<script>"}"#)])
        .await;
    assert!(!shown.html.contains("<script>"), "{}", shown.html);
}

#[tokio::test]
async fn agents_look_and_change_nothing() {
    let mut desk = Desk::new(LIST).await;
    let url = "https://api.example.com/orders/{order_id}";
    let path = desk.add(NEW, &form(url, &[])).await;
    let before = stored(&desk).await;
    desk.demote().await;
    let list = desk.open(LIST).await;
    assert_eq!(list.status, 200);
    assert!(
        list.html.contains("find_order") && !list.html.contains("/tools/new"),
        "{}",
        list.html
    );
    let page = desk.open(&path).await;
    assert_eq!(page.status, 200);
    assert!(
        page.html.contains("you may look") && page.html.contains(" disabled>"),
        "{}",
        page.html
    );
    assert!(
        !page.html.contains("Call it now") && !page.html.contains("/remove"),
        "{}",
        page.html
    );
    for path in [format!("{path}/remove"), NEW.to_owned()] {
        assert_eq!(desk.open(&path).await.status, 403, "{path}");
    }
    for (to, fields) in [
        (NEW.to_owned(), form(url, &[("name", "other")])),
        (path.clone(), form(url, &[("name", "other")])),
        (
            format!("{path}/try"),
            vec![("arguments", r#"{"order_id": "1"}"#)],
        ),
        (format!("{path}/remove"), vec![("name", "find_order")]),
    ] {
        let refused = desk.send(&to, &fields).await;
        assert_eq!(refused.status, 403, "{to}: {}", refused.html);
        assert!(
            refused.html.contains("Owners and admins"),
            "{}",
            refused.html
        );
    }
    assert_eq!(stored(&desk).await, before);
}

#[tokio::test]
async fn another_clients_tool_looks_like_none_and_forms_are_our_own() {
    let mut desk = Desk::new(LIST).await;
    let url = "https://api.example.com/orders/{order_id}";
    let path = desk.add(NEW, &form(url, &[])).await;
    let theirs = TestInstance::create(&desk.server, "Theirs").await;
    let mut browser = signed_in_client(&desk.server, &theirs).await;
    let token = browser
        .open(&desk.server, "/console/theirs/tools")
        .await
        .field("form_token");
    let id = path.rsplit('/').next().unwrap();
    let nobodys = "018f0000-0000-7000-8000-000000000000";
    for rest in ["", "/remove"] {
        let mut seen = Vec::new();
        for id in [id, nobodys, "no-id"] {
            let page = browser
                .open(&desk.server, &format!("/console/theirs/tools/{id}{rest}"))
                .await;
            seen.push((page.status, without_reference(&page.html)));
        }
        assert_eq!(seen[0].0, 404);
        assert!(seen.iter().all(|it| *it == seen[0]), "they look alike");
    }
    for (rest, fields) in [
        ("", form(url, &[])),
        ("/try", vec![("arguments", "{}")]),
        ("/remove", vec![("name", "find_order")]),
    ] {
        let mut fields = fields;
        fields.push(("form_token", &token));
        let to = format!("/console/theirs/tools/{id}{rest}");
        assert_eq!(
            browser.submit(&desk.server, &to, &fields).await.status,
            404,
            "{to}"
        );
        let own = format!("{path}{rest}");
        let elsewhere = desk
            .browser
            .submit_from(&desk.server, &own, &fields, "https://evil.example")
            .await;
        assert_eq!(elsewhere.status, 403, "{own}");
        fields.pop();
        let bare = desk.browser.submit(&desk.server, &own, &fields).await;
        assert_eq!(bare.status, 403, "{own}");
        // A session of another console leads to the sign-in.
        let led = browser.submit(&desk.server, &own, &fields).await;
        assert_eq!(
            (led.status, led.location.as_str()),
            (303, "/console/acme/sign-in")
        );
    }
    assert_eq!(stored(&desk).await.len(), 1);
}

fn without_reference(html: &str) -> String {
    html.split("Reference:")
        .next()
        .unwrap_or_default()
        .to_owned()
}
