//! A database that has the schema before this one has no tools and no budgets, and nothing breaks over it.

use serde_json::json;
use stoa_domain::{Budgets, Clock, Random};

use super::*;
use crate::behind::behind;
use crate::budgets;
use crate::holdings::holds_anything;

#[tokio::test]
async fn a_database_that_is_not_up_to_date_has_no_tools_and_no_budgets() {
    let (connection, _) = behind().await;
    let (clock, random) = (Clock::system(), Random::system());
    let id = ToolId::generate(&clock, &random);
    let settings = ToolSettings {
        name: "find_order".into(),
        description: "Finds an order.".into(),
        parameters: json!({}),
        method: ToolMethod::Get,
        effect: ToolEffect::Read,
        timeout_ms: 5_000,
        enabled: true,
        sealed: vec![1],
    };
    assert_eq!(list(&connection).await.unwrap(), []);
    let first = PageRequest::default();
    assert_eq!(page(&connection, &first).await.unwrap().data, []);
    assert_eq!(find(&connection, id).await.unwrap(), None);
    assert!(!delete(&connection, id).await.unwrap());
    let added = insert(&connection, id, &settings, 50, clock.now()).await;
    assert!(
        matches!(added, Err(ClientDbError::SchemaTooOld { version: 2, .. })),
        "{added:?}"
    );
    let limits = Budgets::default();
    assert_eq!(budgets::get(&connection).await.unwrap(), None);
    let put = budgets::put(&connection, &limits, clock.now()).await;
    assert!(
        matches!(put, Err(ClientDbError::SchemaTooOld { version: 2, .. })),
        "{put:?}"
    );
    assert!(!holds_anything(&connection).await.unwrap());
}
