//! Visitors ask over two replicas all the while, there and back: none of them sees an error, and
//! every message that was acknowledged is in the new database, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{ask, begin_move, call, managed_database, moved, number, own_database};
use crate::support::{Caller, Server, TestInstance};

/// One visitor, who asks one question after the other. Gives how many were answered.
async fn visitor(
    caller: Arc<Caller>,
    session: (String, String),
    name: String,
    stop: Arc<AtomicBool>,
) -> Result<i64, String> {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let text = format!("{name} asks {answered}");
        ask(&caller, &session.1, &session.0, &text)
            .await
            .map_err(|error| format!("{text}: {error}"))?;
        answered += 1;
    }
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sees_an_error_and_nothing_is_lost_while_a_database_moves_there_and_back() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let fake = FakeAi::start().await.unwrap();
    let client = TestInstance::answering_from(&server, "Busy", &fake.base_url()).await;
    let callers = [&server, &replica]
        .map(|it| Arc::new(Caller::new(it.base.clone(), it.platform_token().to_owned())));
    let stop: Arc<AtomicBool> = Arc::default();
    let mut visitors = tokio::task::JoinSet::new();
    for number in 0..8 {
        let caller = Arc::clone(&callers[number % 2]);
        let session = client.session(&caller).await;
        let name = format!("visitor {number}");
        visitors.spawn(visitor(caller, session, name, Arc::clone(&stop)));
    }
    let own = own_database().await;
    let old = managed_database(&client);
    let questions = "SELECT count(*) FROM stoa.chat_messages WHERE role = 'user'";
    begin_move(&server, &client, json!({ "url": own, "move": true })).await;
    moved(&server, &client, "done").await;
    let left_behind = number(&old, questions).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(
        number(&old, questions).await,
        left_behind,
        "closed to writers"
    );
    assert!(number(&own, questions).await > left_behind);
    let previous = "/database/previous";
    let (status, _) = call(&server, &client, Method::DELETE, previous, Value::Null).await;
    assert!(status.is_success());
    begin_move(
        &replica,
        &client,
        json!({ "mode": "managed", "move": true }),
    )
    .await;
    moved(&replica, &client, "done").await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    while let Some(visitor) = visitors.join_next().await {
        answered += visitor.unwrap().unwrap();
    }
    println!(
        "{answered} questions were answered over the two moves, {left_behind} before the first"
    );
    assert!(answered > 50, "{answered}");
    assert_eq!(number(&old, questions).await, answered);
    let answers =
        "SELECT count(*) FROM stoa.chat_messages a JOIN stoa.chat_messages q ON q.answer_id = a.id
                   WHERE a.state = 'complete' AND a.finish_reason = 'stop' AND a.content <> ''";
    assert_eq!(number(&old, answers).await, answered);
    let in_order = "SELECT count(*) FROM stoa.chat_messages a JOIN stoa.chat_messages b
                    ON a.session_id = b.session_id AND a.position < b.position AND a.created_at > b.created_at";
    assert_eq!(number(&old, in_order).await, 0);
}
