//! Statements of every turn, which a connection keeps where it can.

use stoa_client_db::messages::{self, NewTurn, TurnStart};

use crate::support::{Client, new, now, psql, url_of};

/// The plans that a connection keeps are worth nothing once the tables have changed.
#[tokio::test]
async fn turns_go_on_when_the_tables_change_under_them() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let hash = token.hash();
    let connection = client.connection().await;
    let turn = |name| NewTurn {
        session,
        token_hash: &hash,
        user_message: new!(MessageId),
        answer: new!(MessageId),
        client_message_id: name,
        content: "How much?",
        history: 20,
        now: now(),
    };
    for _ in 0..3 {
        let begun = messages::begin_turn(&connection, &turn(None)).await;
        assert!(
            matches!(begun, Ok(Some(TurnStart::New { .. }))),
            "{begun:?}"
        );
    }

    let url = url_of(client.target.address.database());
    let other = "ALTER TABLE stoa.chat_messages ALTER COLUMN error_code TYPE varchar(100)";
    psql(&url, other).await.unwrap();

    let first = messages::begin_turn(&connection, &turn(Some("m"))).await;
    assert!(
        matches!(first, Ok(Some(TurnStart::New { .. }))),
        "{first:?}"
    );
    let again = messages::begin_turn(&connection, &turn(Some("m"))).await;
    assert!(
        matches!(again, Ok(Some(TurnStart::Existing { .. }))),
        "{again:?}"
    );
}
