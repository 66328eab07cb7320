//! MCP servers as they are stored: what a server offers and what a person allows, side by side.

use chrono::TimeDelta;
use serde_json::json;
use stoa_client_db::mcp_servers::{
    self, AllowedTool, LeftOutTool, Listing, McpServerSettings, NAME_TAKEN, OfferedTool,
};
use stoa_client_db::{ClientConnection, ClientDbError};
use stoa_domain::{McpServerId, ToolEffect};

use crate::support::{Client, new, now};

const MOST: i64 = 10;

fn settings(name: &str) -> McpServerSettings {
    McpServerSettings {
        name: name.into(),
        enabled: true,
        sealed: name.as_bytes().to_vec(),
    }
}

fn offered(name: &str) -> OfferedTool {
    OfferedTool {
        name: name.into(),
        description: format!("Does {name}."),
        parameters: json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        read_only: true,
    }
}

fn allowed(name: &str, effect: ToolEffect) -> AllowedTool {
    AllowedTool {
        name: name.into(),
        effect,
        seen: "a hash".into(),
    }
}

fn listing(names: &[&str]) -> Listing {
    Listing {
        version: "2026-07-28".into(),
        tools: names.iter().map(|it| offered(it)).collect(),
        left_out: vec![LeftOutTool {
            name: "big".into(),
            reason: "too_large".into(),
        }],
    }
}

async fn add(connection: &ClientConnection, name: &str) -> McpServerId {
    let id = new!(McpServerId);
    let added = mcp_servers::insert(connection, id, &settings(name), MOST, now()).await;
    assert!(added.unwrap());
    id
}

#[tokio::test]
async fn what_is_offered_and_what_is_allowed_do_not_write_over_each_other() {
    let client = Client::new().await;
    let connection = client.connection().await;
    let id = add(&connection, "crm").await;
    let fresh = mcp_servers::find(&connection, id).await.unwrap().unwrap();
    assert_eq!(fresh.settings, settings("crm"));
    assert_eq!(
        (fresh.offered.len(), fresh.allowed.len(), fresh.listed_at),
        (0, 0, None)
    );

    // A person allows by what was read before the server was asked again.
    let names = ["find", "save", "drop"];
    let (whole, crm) = (listing(&names), settings("crm"));
    let kept = mcp_servers::record_listing(&connection, id, b"crm", &whole, now());
    assert!(kept.await.unwrap());
    let said = [
        allowed("save", ToolEffect::Write),
        allowed("find", ToolEffect::Read),
    ];
    let later = fresh.updated_at + TimeDelta::seconds(1);
    let times = (fresh.updated_at, later);
    let changed = mcp_servers::update(&connection, id, &crm, &said, false, times);
    assert!(changed.await.unwrap());
    let stored = mcp_servers::find(&connection, id).await.unwrap().unwrap();
    assert_eq!(stored.allowed, said);
    assert_eq!(stored.offered, names.map(offered));
    assert_eq!(stored.left_out, listing(&[]).left_out);
    assert_eq!(stored.version.as_deref(), Some("2026-07-28"));

    // A conversation needs only what both say, in the server's order.
    let in_use = mcp_servers::in_use(&connection).await.unwrap();
    assert_eq!(in_use[0].offered, ["find", "save"].map(offered));
    assert_eq!(in_use[0].allowed, said);

    // A server that does not answer keeps what it offered.
    let failed = mcp_servers::record_failure(&connection, id, b"crm", "unauthorized", now());
    assert!(failed.await.unwrap());
    let stored = mcp_servers::find(&connection, id).await.unwrap().unwrap();
    assert_eq!(stored.list_error.as_deref(), Some("unauthorized"));
    assert_eq!(stored.offered.len(), 3);

    // Two people at once: the second is told.
    let changed = mcp_servers::update(&connection, id, &crm, &[], false, times);
    assert!(!changed.await.unwrap());

    // At another address it has offered nothing, and what the old one says comes too late.
    let moved = McpServerSettings {
        sealed: b"elsewhere".to_vec(),
        ..crm
    };
    let times = (later, later + TimeDelta::seconds(1));
    let changed = mcp_servers::update(&connection, id, &moved, &[], true, times);
    assert!(changed.await.unwrap());
    let late = mcp_servers::record_listing(&connection, id, b"crm", &whole, now());
    assert!(!late.await.unwrap());
    let late = mcp_servers::record_failure(&connection, id, b"crm", "refused", now());
    assert!(!late.await.unwrap());
    let stored = mcp_servers::find(&connection, id).await.unwrap().unwrap();
    assert_eq!((stored.offered.len(), stored.left_out.len()), (0, 0));
    assert_eq!(
        (stored.version, stored.listed_at, stored.list_error),
        (None, None, None)
    );
    assert_eq!(mcp_servers::in_use(&connection).await.unwrap(), []);

    assert!(mcp_servers::delete(&connection, id).await.unwrap());
    assert!(!mcp_servers::delete(&connection, id).await.unwrap());
    assert_eq!(mcp_servers::find(&connection, id).await.unwrap(), None);
}

#[tokio::test]
async fn there_are_so_many_at_most_and_each_has_its_own_name() {
    let client = Client::new().await;
    let connection = client.connection().await;
    let first = add(&connection, "b").await;
    let second = add(&connection, "a").await;
    let names: Vec<McpServerId> = mcp_servers::list(&connection)
        .await
        .unwrap()
        .iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(names, [second, first], "by name");
    let id = new!(McpServerId);
    let taken = mcp_servers::insert(&connection, id, &settings("a"), MOST, now()).await;
    let is_taken = |it: &ClientDbError| matches!(it, ClientDbError::Conflict { constraint } if constraint == NAME_TAKEN);
    assert!(is_taken(&taken.unwrap_err()));
    let full = mcp_servers::insert(&connection, id, &settings("c"), 2, now()).await;
    assert!(!full.unwrap());
    // One that is switched off, or of which nothing is allowed, is not in use.
    assert_eq!(mcp_servers::in_use(&connection).await.unwrap(), []);
}
