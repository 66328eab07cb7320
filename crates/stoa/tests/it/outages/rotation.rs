//! An address that changes while an answer is being written.

use std::time::Duration;

use reqwest::Response;
use stoa_fake_ai::FakeAi;

use super::{OwnDatabase, instance_on, on_cluster, put_database};
use crate::support::{
    Caller, Conversation, Server, StreamEvent, TestInstance, eventually, read_stream, said,
};

/// Three seconds of an answer.
const SLOW: &str = "fake:tokens=60,rate=20";

/// Reads an answer to its end while its instance's address changes on the other replica; gives
/// its events.
async fn rotated(
    answer: Response,
    other: &Caller,
    instance: &TestInstance,
    old: &OwnDatabase,
    new: &OwnDatabase,
) -> Vec<StreamEvent> {
    let change = async {
        put_database(other, instance, new).await;
        // Whatever is saved from here on needs a connection of its own.
        old.disconnect_all().await;
    };
    let (events, ()) = tokio::join!(read_stream(answer, |_| false), change);
    events
}

fn assert_ended_well(events: &[StreamEvent]) {
    let last: Vec<_> = events.iter().rev().take(2).map(StreamEvent::kind).collect();
    assert_eq!(last, ["[DONE]", "finish"]);
}

#[tokio::test]
async fn an_answer_under_way_is_kept_after_the_password_has_changed() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let other = server.replica().await;
    let mut database = OwnDatabase::create(&server).await;
    let instance = instance_on(&server, &database, &fake, SLOW).await;
    let conversation = Conversation::begin(&server, &instance).await;

    let answer = conversation.send("hello").await;
    let old = database.named(&database.name);
    database.change_password("another-password").await;
    let events = rotated(answer, &other, &instance, &old, &database).await;
    assert_ended_well(&events);
    let kept = database.messages().await;
    assert_eq!(kept[1], format!("assistant complete: {}", said(&events)));
}

#[tokio::test]
async fn an_answer_under_way_goes_to_the_new_database_and_never_to_the_old() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let other = server.replica().await;
    let old = OwnDatabase::create(&server).await;
    let instance = instance_on(&server, &old, &fake, SLOW).await;
    let conversation = Conversation::begin(&server, &instance).await;

    let answer = conversation.send("hello").await;
    let new = copied(&old).await;
    let left = old.messages().await;
    assert!(left[1].starts_with("assistant streaming: "), "{left:?}");
    let events = rotated(answer, &other, &instance, &old, &new).await;
    assert_ended_well(&events);
    let kept = new.messages().await;
    assert_eq!(kept[1], format!("assistant complete: {}", said(&events)));

    // What comes later goes there too, from either replica.
    for replica in [&*server, &*other] {
        assert_ended_well(&conversation.on(replica).events("and then?").await);
    }
    assert_eq!(new.messages().await.len(), 6);
    assert_eq!(
        old.messages().await,
        left,
        "nothing was written there since"
    );
    eventually("no connection to the old database", || async {
        (old.connections().await == 0).then_some(())
    })
    .await;
}

/// A copy of a database as it is, for the same role.
async fn copied(database: &OwnDatabase) -> OwnDatabase {
    let name = &database.name;
    let copy = database.named(&format!("{name}_copy"));
    // A template may have no other users.
    on_cluster(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    database.disconnect_all().await;
    while database.connections().await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    on_cluster(&format!(
        "CREATE DATABASE {} TEMPLATE {name} OWNER {name}",
        copy.name
    ))
    .await;
    on_cluster(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    copy
}
