//! A database that has the schema before this one serves conversations.

use stoa_domain::token::SessionToken;
use stoa_domain::{Clock, FinishReason, MessageId, Random, SessionId};

use super::*;
use crate::PooledConnection;
use crate::behind::behind;
use crate::sessions::{self, NewSession};

const ALL: PageRequest = PageRequest {
    limit: 50,
    after: None,
};

/// A conversation in a database without what came with the third version.
async fn conversation() -> (PooledConnection, SessionId, TokenHash) {
    let (connection, instance) = behind().await;
    let (clock, random) = (Clock::system(), Random::system());
    let token = SessionToken::issue(instance, &random);
    let session = NewSession {
        id: SessionId::generate(&clock, &random),
        token_hash: token.hash(),
        end_user: None,
        locale: None,
        page_url: None,
        created_at: clock.now(),
    };
    sessions::create(&connection, &session).await.unwrap();
    (connection, session.id, token.hash())
}

async fn turn(
    connection: &ClientConnection,
    session: SessionId,
    token_hash: &TokenHash,
    content: &str,
) -> (MessageId, TurnStart) {
    let (clock, random) = (Clock::system(), Random::system());
    let new = NewTurn {
        session,
        token_hash,
        user_message: MessageId::generate(&clock, &random),
        answer: MessageId::generate(&clock, &random),
        client_message_id: None,
        content,
        history: 20,
        now: clock.now(),
    };
    let start = begin_turn(connection, &new).await.unwrap().unwrap();
    let end = FinishedAnswer {
        content: format!("about {content}"),
        reason: FinishReason::Stop,
        error_code: None,
        sources: serde_json::json!([]),
        provider: None,
        model: None,
        api_configuration_id: None,
        input_tokens: None,
        output_tokens: None,
        unanswered: true,
        steps: serde_json::json!([{"at": 0}]),
        cost_micros: Some(1),
        first_token_ms: None,
        total_ms: None,
        finished_at: clock.now(),
    };
    let steps = Some(&end.steps);
    let saved = save_partial(connection, new.answer, "about", steps, clock.now()).await;
    assert!(saved.unwrap());
    assert!(finish(connection, new.answer, &end).await.unwrap());
    (new.answer, start)
}

#[tokio::test]
async fn conversations_go_on_without_steps_and_costs() {
    let (connection, session, token) = conversation().await;
    turn(&connection, session, &token, "q1").await;
    let (answer, start) = turn(&connection, session, &token, "q2").await;
    let TurnStart::New { history, .. } = start else {
        panic!("{start:?}")
    };
    let said: Vec<_> = history.iter().map(|it| it.content.as_str()).collect();
    assert_eq!(said, ["q1", "about q1"]);

    let shown = list(&connection, session, &ALL).await.unwrap().data;
    assert_eq!(shown.len(), 4);
    let bare = |it: &Message| it.steps == serde_json::json!([]) && it.cost_micros.is_none();
    assert!(shown.iter().all(bare));
    let versions = list_versions(&connection, session, &ALL)
        .await
        .unwrap()
        .data;
    assert_eq!(versions, shown);
    let found = find(&connection, session, answer).await.unwrap().unwrap();
    assert!(found.unanswered && found.content == "about q2");

    let version = NewVersion {
        of: answer,
        token_hash: &token,
        answer: MessageId::generate(&Clock::system(), &Random::system()),
        history: 20,
        now: Clock::system().now(),
    };
    let again = begin_again(&connection, &version).await.unwrap();
    assert!(matches!(again, Some(Again::New { .. })), "{again:?}");
    let long_ago = version.now - chrono::TimeDelta::days(1);
    let metered = finished_since(&connection, long_ago, &ALL).await.unwrap();
    assert_eq!(metered.data.len(), 2);
}

#[tokio::test]
async fn there_are_no_servers_of_tools_before_there_is_a_table_for_them() {
    use crate::mcp_servers::{self, McpServerSettings};
    let (connection, ..) = conversation().await;
    assert_eq!(mcp_servers::list(&connection).await.unwrap(), []);
    assert_eq!(mcp_servers::in_use(&connection).await.unwrap(), []);
    let (clock, random) = (Clock::system(), Random::system());
    let id = stoa_domain::McpServerId::generate(&clock, &random);
    assert_eq!(mcp_servers::find(&connection, id).await.unwrap(), None);
    assert!(!mcp_servers::delete(&connection, id).await.unwrap());
    let settings = McpServerSettings {
        name: "crm".into(),
        enabled: true,
        sealed: Vec::new(),
    };
    let refused = mcp_servers::insert(&connection, id, &settings, 10, clock.now()).await;
    assert_eq!(refused.unwrap_err().code(), "database_schema_too_old");
}
