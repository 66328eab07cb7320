//! The queue: none twice, leases taken over, the old holder refused.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use serde_json::json;
use stoa_domain::{InstanceId, JobId};
use stoa_platform_db::jobs::{self, Claim, Failed, Job, NewJob};
use stoa_platform_db::{PgConnection, PlatformDb};

use crate::support::Ground;

const LEASE: TimeDelta = TimeDelta::seconds(30);

fn job(ground: &Ground, key: &str) -> NewJob {
    NewJob {
        id: JobId::generate(&ground.clock, &ground.random),
        kind: "index_document".to_owned(),
        instance: None,
        unique_key: key.to_owned(),
        payload: json!({ "document": key }),
        run_at: ground.now(),
        priority: 0,
        max_attempts: 2,
        created_at: ground.now(),
    }
}

fn ready_for<'a>(limit: i64, busy: &'a [InstanceId]) -> Claim<'a> {
    Claim {
        kinds: &["index_document"],
        worker: "worker-1",
        lease: LEASE,
        limit,
        busy,
    }
}

async fn claim_one(ground: &Ground, connection: &mut PgConnection) -> Option<Job> {
    let claimed = jobs::claim(connection, &ready_for(1, &[]), ground.now()).await;
    claimed.unwrap().pop()
}

#[tokio::test]
async fn a_job_waits_once_however_often_it_is_enqueued() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    assert!(
        jobs::enqueue(&mut connection, &job(&ground, "a"))
            .await
            .unwrap()
    );
    assert!(
        !jobs::enqueue(&mut connection, &job(&ground, "a"))
            .await
            .unwrap()
    );

    let held = claim_one(&ground, &mut connection).await.unwrap();
    assert_eq!(held.attempt, 1);
    assert_eq!(held.payload, json!({ "document": "a" }));
    assert!(claim_one(&ground, &mut connection).await.is_none());
    assert!(
        !jobs::enqueue(&mut connection, &job(&ground, "a"))
            .await
            .unwrap(),
        "it runs"
    );
    assert!(
        jobs::complete(&mut connection, held.held, ground.now())
            .await
            .unwrap()
    );
    assert!(
        jobs::enqueue(&mut connection, &job(&ground, "a"))
            .await
            .unwrap(),
        "it is done"
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn urgent_jobs_come_first_and_later_ones_in_their_time() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let mut later = job(&ground, "later");
    later.run_at += TimeDelta::minutes(5);
    let mut urgent = job(&ground, "urgent");
    urgent.priority = 10;
    let mut other = job(&ground, "other");
    other.kind = "send_mail".to_owned();
    for new in [&later, &job(&ground, "plain"), &urgent, &other] {
        assert!(jobs::enqueue(&mut connection, new).await.unwrap());
    }

    let depth = jobs::queue_depth(&mut connection, ground.now())
        .await
        .unwrap();
    assert_eq!(
        (depth.due, depth.scheduled, depth.running, depth.dead),
        (3, 1, 0, 0)
    );
    let mut claim = async || {
        let claimed = jobs::claim(&mut connection, &ready_for(10, &[]), ground.now()).await;
        let claimed = claimed.unwrap();
        claimed
            .into_iter()
            .map(|job| job.payload["document"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(claim().await, ["urgent", "plain"]);
    ground.pass(TimeDelta::minutes(5));
    assert!(claim().await.contains(&"later".to_owned()));
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_client_that_has_its_share_of_workers_waits() {
    let ground = Ground::new().await;
    let (busy, free) = (ground.instance("busy").await, ground.instance("free").await);
    let mut connection = ground.connection().await;
    for (key, instance) in [("a", busy), ("b", busy), ("c", free)] {
        let mut new = job(&ground, key);
        new.instance = Some(instance);
        jobs::enqueue(&mut connection, &new).await.unwrap();
    }
    let skipped = [busy];
    let claimed = jobs::claim(&mut connection, &ready_for(10, &skipped), ground.now())
        .await
        .unwrap();
    assert_eq!(
        claimed.iter().map(|job| job.instance).collect::<Vec<_>>(),
        [Some(free)]
    );

    let cancelled = jobs::cancel_for_instance(&mut connection, busy, &["index_document"]).await;
    assert_eq!(cancelled.unwrap(), 2);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn an_expired_lease_is_taken_over_and_the_old_holder_is_refused() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    jobs::enqueue(&mut connection, &job(&ground, "a"))
        .await
        .unwrap();
    let first = claim_one(&ground, &mut connection).await.unwrap();

    ground.pass(TimeDelta::seconds(20));
    assert!(
        jobs::heartbeat(&mut connection, first.held, LEASE, ground.now())
            .await
            .unwrap()
    );
    ground.pass(TimeDelta::seconds(20));
    assert!(
        claim_one(&ground, &mut connection).await.is_none(),
        "the heartbeat kept it"
    );
    ground.pass(TimeDelta::seconds(20));
    let second = claim_one(&ground, &mut connection).await.unwrap();
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert!(second.held.fencing_token > first.held.fencing_token);

    let now = ground.now();
    assert!(
        !jobs::heartbeat(&mut connection, first.held, LEASE, now)
            .await
            .unwrap()
    );
    assert!(
        !jobs::complete(&mut connection, first.held, now)
            .await
            .unwrap()
    );
    let failed = jobs::fail(&mut connection, first.held, "late", Some(now), now).await;
    assert_eq!(failed.unwrap(), Failed::Lost);
    assert!(
        jobs::complete(&mut connection, second.held, now)
            .await
            .unwrap()
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn failures_are_retried_in_their_time_and_then_kept_with_their_error() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    jobs::enqueue(&mut connection, &job(&ground, "a"))
        .await
        .unwrap();

    let first = claim_one(&ground, &mut connection).await.unwrap();
    let again = ground.now() + TimeDelta::seconds(4);
    let failed = jobs::fail(
        &mut connection,
        first.held,
        "no room",
        Some(again),
        ground.now(),
    )
    .await;
    assert_eq!(failed.unwrap(), Failed::Retrying);
    assert!(
        claim_one(&ground, &mut connection).await.is_none(),
        "not yet"
    );
    ground.pass(TimeDelta::seconds(4));
    let second = claim_one(&ground, &mut connection).await.unwrap();
    let failed = jobs::fail(
        &mut connection,
        second.held,
        "still none",
        Some(again),
        ground.now(),
    )
    .await;
    assert_eq!(failed.unwrap(), Failed::Dead);

    let dead = jobs::list_dead(&mut connection, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].last_error.as_deref(), Some("still none"));
    assert_eq!(dead[0].attempts, 2);
    assert!(
        jobs::retry_dead(&mut connection, first.id, ground.now())
            .await
            .unwrap()
    );
    assert!(
        !jobs::retry_dead(&mut connection, first.id, ground.now())
            .await
            .unwrap()
    );
    let third = claim_one(&ground, &mut connection).await.unwrap();
    assert_eq!(third.attempt, 1);

    let hopeless = jobs::fail(&mut connection, third.held, "never", None, ground.now()).await;
    assert_eq!(hopeless.unwrap(), Failed::Dead);
    ground.pass(TimeDelta::days(1));
    assert_eq!(
        jobs::purge_finished(&mut connection, ground.now())
            .await
            .unwrap(),
        1
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_job_that_takes_its_workers_down_is_not_tried_for_ever() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    jobs::enqueue(&mut connection, &job(&ground, "poison"))
        .await
        .unwrap();
    for _ in 0..2 {
        claim_one(&ground, &mut connection).await.unwrap();
        ground.pass(LEASE);
    }
    assert!(claim_one(&ground, &mut connection).await.is_none());
    let dead = jobs::list_dead(&mut connection, 10).await.unwrap();
    assert!(dead[0].last_error.as_deref().unwrap().contains("vanished"));
    drop(connection);
    ground.done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_do_thousands_of_jobs_none_twice() {
    const JOBS: usize = 3000;
    let ground = Ground::new().await;
    let mut transaction = ground.database.db.begin().await.unwrap();
    for number in 0..JOBS {
        let new = job(&ground, &number.to_string());
        assert!(jobs::enqueue(&mut transaction, &new).await.unwrap());
    }
    transaction.commit().await.unwrap();

    let done = Arc::new(Mutex::new(Vec::new()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        workers.spawn(work(
            ground.database.db.clone(),
            ground.clock.clone(),
            Arc::clone(&done),
        ));
    }
    workers.join_all().await;

    let done = std::mem::take(&mut *done.lock().unwrap());
    assert_eq!(done.len(), JOBS);
    assert_eq!(done.iter().collect::<HashSet<_>>().len(), JOBS, "each once");
    ground.done().await;
}

async fn work(db: PlatformDb, clock: stoa_domain::Clock, done: Arc<Mutex<Vec<JobId>>>) {
    loop {
        let mut connection = db.acquire().await.unwrap();
        let claimed = jobs::claim(&mut connection, &ready_for(7, &[]), clock.now())
            .await
            .unwrap();
        if claimed.is_empty() {
            return;
        }
        for job in claimed {
            assert!(
                jobs::complete(&mut connection, job.held, clock.now())
                    .await
                    .unwrap()
            );
            done.lock().unwrap().push(job.id);
        }
    }
}
