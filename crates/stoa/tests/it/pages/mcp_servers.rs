//! The console's pages of MCP servers: what one offers is looked at before it is allowed.

use serde_json::Value;

use super::{Desk, signed_in_client};
use crate::support::{McpServer, Page, TestInstance, mcp_tool};

const SECRET: &str = "Bearer sk-mcp-0123456789abcdef";
const NEW: &str = "/console/acme/mcp-servers/new";

/// The one server as the client API shows it.
async fn stored(desk: &Desk) -> Value {
    desk.stored("/mcp-servers").await["data"][0].clone()
}

/// Adds a server by the form, and gives its page's path.
async fn add(desk: &mut Desk, url: &str) -> String {
    let fields = [
        ("name", "shop"),
        ("url", url),
        ("header_name_0", "Authorization"),
        ("header_value_0", SECRET),
        ("enabled", "on"),
    ];
    desk.add(NEW, &fields).await
}

#[tokio::test]
async fn a_server_is_added_looked_at_allowed_and_removed() {
    let mut desk = Desk::new(NEW).await;
    let find = mcp_tool("find_order", "Finds <b>an order</b>.", true);
    let cancel = mcp_tool("cancel", "Cancels it.", true);
    let shop = McpServer::start(&[find.clone(), cancel.clone()]).await;
    let path = add(&mut desk, &shop.url).await;
    let page = desk.open(&path).await;
    assert_eq!(page.status, 200);
    for shown in [
        "Finds &#60;b&#62;an order&#60;/b&#62;.",
        "ends …cdef",
        "Its server says: “Reads”.",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    assert!(!page.html.contains("sk-mcp"), "{}", page.html);
    let fingerprint = |page: &Page, name: &str| page.field(&format!("seen:{name}"));
    let (seen_find, seen_cancel) = (
        fingerprint(&page, "find_order"),
        fingerprint(&page, "cancel"),
    );

    // What a tool does is what the person says.
    let wanted = [
        ("tool:find_order", "read"),
        ("seen:find_order", seen_find.as_str()),
        ("tool:cancel", "write"),
        ("seen:cancel", &seen_cancel),
    ];
    let saved = desk.send(&format!("{path}/tools"), &wanted).await;
    assert_eq!(
        (saved.status, saved.location),
        (303, format!("{path}?done=saved")),
        "{}",
        saved.html
    );
    let tools = stored(&desk).await["tools"].clone();
    let said = |tools: &Value, name: &str| {
        let tool = tools
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["name"] == name)
            .unwrap()
            .clone();
        (
            tool["allowed"].as_bool().unwrap(),
            tool["effect"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(said(&tools, "find_order"), (true, "read".to_owned()));
    assert_eq!(said(&tools, "cancel"), (true, "write".to_owned()));
    let list = desk.open("/console/acme/tools").await;
    assert!(list.html.contains("2 of 2"), "{}", list.html);

    // A tool that changes is looked at again, and what was looked at before allows nothing.
    shop.offer(&[find, mcp_tool("cancel", "Cancels all of them.", true)]);
    let asked = desk.send(&format!("{path}/refresh"), &[]).await;
    assert_eq!(
        (asked.status, asked.location),
        (303, format!("{path}?done=asked"))
    );
    let page = desk.open(&path).await;
    assert!(
        page.html.contains("Has changed") && page.html.contains("A tool has changed"),
        "{}",
        page.html
    );
    let late = desk.send(&format!("{path}/tools"), &wanted).await;
    assert_eq!(late.status, 409, "{}", late.html);
    assert!(
        late.html.contains("has changed since it was looked at"),
        "{}",
        late.html
    );
    assert!(!said(&stored(&desk).await["tools"], "cancel").0);
    let seen_now = fingerprint(&page, "cancel");
    let wanted = [
        ("tool:find_order", "no"),
        ("seen:find_order", seen_find.as_str()),
        ("tool:cancel", "write"),
        ("seen:cancel", &seen_now),
    ];
    assert_eq!(
        desk.send(&format!("{path}/tools"), &wanted).await.status,
        303
    );
    let tools = stored(&desk).await["tools"].clone();
    assert_eq!(
        (said(&tools, "find_order").0, said(&tools, "cancel").0),
        (false, true)
    );

    shop.break_down();
    assert_eq!(desk.send(&format!("{path}/refresh"), &[]).await.status, 303);
    let page = desk.open(&path).await;
    assert!(
        page.html.contains("It did not list its tools") && page.html.contains("Did not answer"),
        "{}",
        page.html
    );
    assert!(
        page.html.contains("Cancels all of them."),
        "what it offered before stays"
    );

    let removal = format!("{path}/remove");
    assert_eq!(desk.send(&removal, &[("name", "other")]).await.status, 422);
    assert_eq!(desk.send(&removal, &[("name", "shop")]).await.status, 303);
    assert_eq!(desk.open(&path).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_said_at_its_field() {
    let mut desk = Desk::new(NEW).await;
    for (name, url, at) in [
        ("Shop", "https://mcp.example.com/mcp", "name"),
        ("shop", "mcp.example.com", "url"),
        ("shop", "https://10.0.0.1/mcp", "url"),
        ("shop", "http://mcp.example.com/mcp", "url"),
    ] {
        let refused = desk
            .send(NEW, &[("name", name), ("url", url), ("enabled", "on")])
            .await;
        assert_eq!(refused.status, 422, "{name} {url}");
        assert!(
            refused.html.contains(&format!(r#"id="{at}-error""#)),
            "{at}: {}",
            refused.html
        );
        assert!(
            refused.html.contains(&format!(r#"value="{url}""#)),
            "what was typed stays"
        );
    }
    assert_eq!(stored(&desk).await, Value::Null);
    let shop = McpServer::start(&[mcp_tool("find", "Finds.", true)]).await;
    let thief = McpServer::start(&[mcp_tool("find", "Finds.", true)]).await;
    let path = add(&mut desk, &shop.url).await;
    let kept = [
        ("name", "shop"),
        ("url", thief.url.as_str()),
        ("header_name_0", "Authorization"),
        ("header_hint_0", "cdef"),
    ];
    let refused = desk.send(&path, &kept).await;
    assert_eq!(refused.status, 422, "a stored header goes to no other host");
    assert!(
        refused.html.contains(r#"id="headers-error""#),
        "{}",
        refused.html
    );
    assert_eq!(stored(&desk).await["url"], shop.url);
}

#[tokio::test]
async fn agents_and_others_change_no_server() {
    let mut desk = Desk::new(NEW).await;
    let shop = McpServer::start(&[mcp_tool("find", "Finds.", true)]).await;
    let path = add(&mut desk, &shop.url).await;
    let before = stored(&desk).await;
    let theirs = TestInstance::create(&desk.server, "Theirs").await;
    let mut browser = signed_in_client(&desk.server, &theirs).await;
    let token = browser
        .open(&desk.server, "/console/theirs/tools")
        .await
        .field("form_token");
    let id = path.rsplit('/').next().unwrap();
    for rest in ["", "/refresh", "/tools", "/remove"] {
        let to = format!("/console/theirs/mcp-servers/{id}{rest}");
        let fields = match rest {
            "" => vec![("name", "mine"), ("url", &*shop.url)],
            "/remove" => vec![("name", "shop")],
            _ => Vec::new(),
        };
        let with_token = [fields.clone(), vec![("form_token", &*token)]].concat();
        assert_eq!(
            browser.submit(&desk.server, &to, &with_token).await.status,
            404,
            "{to}"
        );
        let own = format!("{path}{rest}");
        assert_eq!(
            desk.browser
                .submit(&desk.server, &own, &fields)
                .await
                .status,
            403,
            "{own}"
        );
    }
    desk.demote().await;
    let page = desk.open(&path).await;
    assert_eq!(page.status, 200);
    assert!(
        page.html.contains("you may look") && !page.html.contains("/refresh"),
        "{}",
        page.html
    );
    for (rest, fields) in [
        ("", vec![("name", "mine"), ("url", &*shop.url)]),
        ("/refresh", Vec::new()),
        ("/tools", vec![("tool:find", "read")]),
        ("/remove", vec![("name", "shop")]),
    ] {
        assert_eq!(
            desk.send(&format!("{path}{rest}"), &fields).await.status,
            403,
            "{rest}"
        );
    }
    assert_eq!(stored(&desk).await, before);
}
