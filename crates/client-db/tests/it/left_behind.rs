//! Answers whose writer is gone.

use std::collections::HashSet;
use std::time::Duration;

use stoa_client_db::{PageRequest, messages};
use stoa_domain::FinishReason;

use crate::support::{Client, now};
use crate::turns::{begin, finished, stored};

#[tokio::test]
async fn an_answer_that_somebody_follows_is_closed_once_its_writer_is_gone() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let connection = client.connection().await;
    let (_, answer, _) = begin(&connection, session, &token.hash(), None, "a").await;
    let (_, other, _) = begin(&connection, session, &token.hash(), None, "b").await;
    let close = async |deadline| {
        messages::interrupt_if_stale(&connection, answer, deadline, now())
            .await
            .unwrap()
    };
    assert!(!close(now() - Duration::from_secs(60)).await, "it is fresh");
    assert!(close(now() + Duration::from_secs(1)).await);
    assert!(!close(now() + Duration::from_secs(1)).await, "it is final");
    let reason = async |id| stored(&connection, session, id).await.finish_reason;
    assert_eq!(reason(answer).await, Some(FinishReason::Interrupted));
    assert_eq!(reason(other).await, None);
}

#[tokio::test]
async fn what_a_dead_process_left_is_closed_and_counted_once() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let connection = client.connection().await;
    let (_, stale, _) = begin(&connection, session, &token.hash(), None, "a").await;
    let long_ago = now() - Duration::from_secs(600);
    messages::save_partial(&connection, stale, "what had arrived", None, long_ago)
        .await
        .unwrap();
    let (_, alive, _) = begin(&connection, session, &token.hash(), None, "b").await;

    let deadline = now() - Duration::from_secs(60);
    let closed = messages::interrupt_stale(&connection, deadline, now())
        .await
        .unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(
        (closed[0].id, closed[0].session_id, closed[0].characters),
        (stale, session, 16)
    );
    assert!(
        messages::interrupt_stale(&connection, deadline, now())
            .await
            .unwrap()
            .is_empty()
    );
    let closed = stored(&connection, session, stale).await;
    assert_eq!(closed.finish_reason, Some(FinishReason::Interrupted));
    assert_eq!(closed.content, "what had arrived");

    messages::finish(&connection, alive, &finished("done"))
        .await
        .unwrap();
    let mut seen = HashSet::new();
    let mut request = PageRequest {
        limit: 1,
        after: None,
    };
    loop {
        let page = messages::finished_since(&connection, deadline, &request)
            .await
            .unwrap();
        seen.extend(page.data.iter().map(|it| it.id));
        request.after = page.next_cursor;
        if request.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, HashSet::from([stale, alive]));
}
