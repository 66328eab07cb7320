//! Calls of tools: decided once, by whoever they are put to, and never open for ever.

use serde_json::{Map, Value, json};
use stoa_client_db::tool_calls::{self, Decided, Decision, NewToolCall};
use stoa_client_db::{ClientConnection, messages};
use stoa_domain::token::TokenHash;
use stoa_domain::{FinishReason, MessageId, ToolCallId, ToolCallState, ToolEffect};

use crate::support::{Client, new, now};
use crate::turns::{begin, finished};

fn input() -> Map<String, Value> {
    json!({"id": "7"}).as_object().unwrap().clone()
}

/// A call that only reads, and one that writes.
async fn two_calls(connection: &ClientConnection, answer: MessageId) -> (ToolCallId, ToolCallId) {
    let (read, write) = (new!(ToolCallId), new!(ToolCallId));
    let input = input();
    let call = |id, ordinal, effect| NewToolCall {
        id,
        ordinal,
        tool: "find",
        input: &input,
        effect,
    };
    let calls = [
        call(read, 1, ToolEffect::Read),
        call(write, 2, ToolEffect::Write),
    ];
    let stored = tool_calls::insert(connection, answer, &calls, now()).await;
    assert!(stored.unwrap());
    (read, write)
}

async fn decide(
    connection: &ClientConnection,
    (message, call): (MessageId, ToolCallId),
    token_hash: &TokenHash,
    approved: bool,
) -> Option<Decided> {
    let decision = Decision {
        message,
        call,
        token_hash,
        approved,
        now: now(),
    };
    tool_calls::decide(connection, &decision).await.unwrap()
}

async fn states(connection: &ClientConnection, answer: MessageId) -> Vec<ToolCallState> {
    let states = tool_calls::states(connection, answer).await.unwrap();
    states.into_iter().map(|(_, state)| state).collect()
}

#[tokio::test]
async fn a_call_that_writes_is_made_after_one_yes_of_its_own_visitor() {
    use ToolCallState::{Approved, Asking, Done, Failed, Running};
    let client = Client::new().await;
    let connection = client.connection().await;
    let (session, token) = client.session().await;
    let (_, other) = client.session().await;
    let (_, answer, _) = begin(&connection, session, &token.hash(), None, "q").await;
    let (read, write) = two_calls(&connection, answer).await;
    assert_eq!(states(&connection, answer).await, [Running, Asking]);

    let (mine, theirs) = (token.hash(), other.hash());
    assert!(!tool_calls::begin(&connection, write).await.unwrap());
    for (place, hash) in [
        ((answer, write), &theirs),
        ((answer, read), &mine),
        ((answer, new!(ToolCallId)), &mine),
        ((new!(MessageId), write), &mine),
    ] {
        assert_eq!(decide(&connection, place, hash, true).await, None);
    }
    let place = (answer, write);
    let yes = decide(&connection, place, &mine, true).await;
    assert_eq!(yes, Some(Decided::Now));
    let no = decide(&connection, place, &mine, false).await;
    assert_eq!(no, Some(Decided::Before));
    assert_eq!(states(&connection, answer).await, [Running, Approved]);
    assert!(
        !tool_calls::give_up(&connection, write, now())
            .await
            .unwrap()
    );

    assert!(tool_calls::begin(&connection, write).await.unwrap());
    assert!(
        !tool_calls::begin(&connection, write).await.unwrap(),
        "nothing is made twice"
    );
    let kept = tool_calls::finish(&connection, write, "{}", None, now()).await;
    assert!(kept.unwrap());
    let kept = tool_calls::finish(&connection, read, "no", Some("timed_out"), now()).await;
    assert!(kept.unwrap());
    assert_eq!(states(&connection, answer).await, [Failed, Done]);
    assert_eq!(
        tool_calls::abandon(&connection, answer, now())
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn what_has_no_outcome_when_its_answer_ends_is_given_up() {
    use ToolCallState::{Abandoned, Asking, Running};
    let client = Client::new().await;
    let connection = client.connection().await;
    let (session, token) = client.session().await;
    let (_, answer, _) = begin(&connection, session, &token.hash(), None, "q").await;
    let (_, write) = two_calls(&connection, answer).await;
    let orphans = tool_calls::abandon_orphans(&connection, now()).await;
    assert_eq!(orphans.unwrap(), 0, "its answer is being written");
    assert_eq!(states(&connection, answer).await, [Running, Asking]);

    let mut end = finished("");
    end.reason = FinishReason::Interrupted;
    assert!(messages::finish(&connection, answer, &end).await.unwrap());
    let late = decide(&connection, (answer, write), &token.hash(), true).await;
    assert_eq!(late, Some(Decided::Before), "nobody would make it any more");
    let orphans = tool_calls::abandon_orphans(&connection, now()).await;
    assert_eq!(orphans.unwrap(), 2);
    assert_eq!(states(&connection, answer).await, [Abandoned, Abandoned]);

    let input = input();
    let late = [NewToolCall {
        id: new!(ToolCallId),
        ordinal: 3,
        tool: "find",
        input: &input,
        effect: ToolEffect::Read,
    }];
    let stored = tool_calls::insert(&connection, answer, &late, now()).await;
    assert!(!stored.unwrap(), "a final answer makes no calls");
}
