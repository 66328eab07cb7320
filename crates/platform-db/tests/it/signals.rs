//! Signals between replicas: sent on commit, and the listener survives a lost connection.

use std::time::Duration;

use serde_json::json;
use sqlx::Executor;
use stoa_domain::{InstanceId, JobId, SessionId};
use stoa_platform_db::instances::{self, Changes};
use stoa_platform_db::jobs::{self, NewJob};
use stoa_platform_db::signals::{self, Signal, Signals};

use crate::support::Ground;

async fn soon(listener: &mut Signals) -> Signal {
    tokio::time::timeout(Duration::from_secs(5), listener.recv())
        .await
        .expect("a signal within five seconds")
}

#[tokio::test]
async fn every_kind_arrives_as_it_was_sent_and_only_on_commit() {
    let ground = Ground::new().await;
    let mut listener = ground.database.db.listen_signals().await.unwrap();
    let instance = InstanceId::generate(&ground.clock, &ground.random);
    let session = SessionId::generate(&ground.clock, &ground.random);
    let all = [
        Signal::InstanceChanged(instance),
        Signal::ConfigurationChanged(instance),
        Signal::StopSession(session),
        Signal::SessionChanged(session),
        Signal::JobReady,
    ];

    let mut undone = ground.database.db.begin().await.unwrap();
    signals::send(&mut undone, Signal::JobReady).await.unwrap();
    undone.rollback().await.unwrap();
    let mut connection = ground.connection().await;
    connection
        .execute("NOTIFY stoa_signals, 'from elsewhere'")
        .await
        .unwrap();
    for signal in all {
        signals::send(&mut connection, signal).await.unwrap();
    }
    for signal in all {
        assert_eq!(soon(&mut listener).await, signal);
    }
    drop((connection, listener));
    ground.done().await;
}

#[tokio::test]
async fn changing_an_instance_and_enqueueing_work_signal_by_themselves() {
    let ground = Ground::new().await;
    let id = ground.instance("acme").await;
    let mut listener = ground.database.db.listen_signals().await.unwrap();

    let mut transaction = ground.database.db.begin().await.unwrap();
    for number in 0..3 {
        let new = NewJob {
            id: JobId::generate(&ground.clock, &ground.random),
            kind: "x".to_owned(),
            instance: Some(id),
            unique_key: number.to_string(),
            payload: json!({}),
            run_at: ground.now(),
            priority: 0,
            max_attempts: 1,
            created_at: ground.now(),
        };
        jobs::enqueue(&mut transaction, &new).await.unwrap();
    }
    let changes = Changes {
        region: Some("eu".to_owned()),
        ..Changes::default()
    };
    instances::update(&mut transaction, id, &changes)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(
        soon(&mut listener).await,
        Signal::JobReady,
        "once for all three"
    );
    assert_eq!(soon(&mut listener).await, Signal::InstanceChanged(id));
    drop(listener);
    ground.done().await;
}

#[tokio::test]
async fn a_listener_whose_connection_is_cut_says_so_and_goes_on() {
    let ground = Ground::new().await;
    let mut listener = ground.database.db.listen_signals().await.unwrap();
    let mut connection = ground.connection().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connection.execute(cut).await.unwrap();

    assert_eq!(soon(&mut listener).await, Signal::Reconnected);
    signals::send(&mut connection, Signal::JobReady)
        .await
        .unwrap();
    assert_eq!(soon(&mut listener).await, Signal::JobReady);
    drop((connection, listener));
    ground.done().await;
}
