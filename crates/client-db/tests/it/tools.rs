//! Tools as they are stored.

use serde_json::json;
use stoa_client_db::holdings::holds_anything;
use stoa_client_db::tools::{self, NAME_TAKEN, ToolSettings};
use stoa_client_db::{ClientDbError, PageRequest};
use stoa_domain::{ToolEffect, ToolMethod};

use crate::support::{Client, new, now};

fn settings(name: &str) -> ToolSettings {
    ToolSettings {
        name: name.into(),
        description: "Finds an order.".into(),
        parameters: json!({ "type": "object", "properties": { "id": { "type": "string" } } }),
        method: ToolMethod::Get,
        effect: ToolEffect::Read,
        timeout_ms: 5_000,
        enabled: true,
        sealed: vec![1, 2, 3],
    }
}

#[tokio::test]
async fn tools_are_kept_by_name_and_found_as_they_were_stored() {
    let client = Client::new().await;
    let connection = client.connection().await;
    assert!(!holds_anything(&connection).await.unwrap());
    let (first, second) = (new!(ToolId), new!(ToolId));
    for (id, name) in [(first, "b"), (second, "a")] {
        let added = tools::insert(&connection, id, &settings(name), 50, now()).await;
        assert!(added.unwrap());
    }
    assert!(holds_anything(&connection).await.unwrap());
    let names = |tools: &[tools::StoredTool]| -> Vec<String> {
        tools.iter().map(|it| it.settings.name.clone()).collect()
    };
    assert_eq!(names(&tools::list(&connection).await.unwrap()), ["a", "b"]);

    // Newest first, in pages.
    let mut request = PageRequest {
        limit: 1,
        after: None,
    };
    let page = tools::page(&connection, &request).await.unwrap();
    assert_eq!(names(&page.data), ["a"]);
    request.after = page.next_cursor;
    let page = tools::page(&connection, &request).await.unwrap();
    assert_eq!(
        (names(&page.data), page.next_cursor),
        (vec!["b".to_owned()], None)
    );

    let taken = tools::insert(&connection, new!(ToolId), &settings("a"), 50, now()).await;
    assert!(
        matches!(&taken, Err(ClientDbError::Conflict { constraint }) if constraint == NAME_TAKEN),
        "{taken:?}"
    );
    let one_too_many = tools::insert(&connection, new!(ToolId), &settings("c"), 2, now()).await;
    assert!(!one_too_many.unwrap());

    let stored = tools::find(&connection, first).await.unwrap().unwrap();
    assert_eq!(stored.settings, settings("b"));
    let changed = ToolSettings {
        name: "renamed".into(),
        method: ToolMethod::Post,
        effect: ToolEffect::Write,
        timeout_ms: 20_000,
        enabled: false,
        sealed: vec![9],
        ..settings("b")
    };
    let seen = stored.updated_at;
    let update = || tools::update(&connection, first, &changed, seen, now());
    assert!(update().await.unwrap());
    assert!(!update().await.unwrap(), "it was changed since it was seen");
    let stored = tools::find(&connection, first).await.unwrap().unwrap();
    assert_eq!(stored.settings, changed);

    assert!(tools::delete(&connection, first).await.unwrap());
    assert!(!tools::delete(&connection, first).await.unwrap());
    assert_eq!(tools::find(&connection, first).await.unwrap(), None);
}
